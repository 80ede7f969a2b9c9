"""BiSeNet V2: size, two branches, gather-and-expansion, guided aggregation."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from rtseg.networks import build  # noqa: E402
from rtseg.networks.bisenetv2 import (  # noqa: E402
    BiSeNetV2,
    ContextEmbedding,
    GatherExpansion,
    GuidedAggregation,
)
from rtseg.networks.counting import count_parameters  # noqa: E402


@pytest.fixture(scope="module")
def network() -> BiSeNetV2:
    torch.manual_seed(0)
    return BiSeNetV2(19).eval()


def test_parameters(network) -> None:
    # The paper has no number; 3.4 M is what others quote. Counted layer by layer from
    # https://github.com/CoinCheung/BiSeNet/blob/master/lib/models/bisenetv2.py with aux=False:
    # detail 519,232, semantic 1,159,504, aggregation 478,720, head 1,201,171. The semantic branch
    # has 256 less here, see the module's docstring.
    assert count_parameters(network.detail) == 519_232
    assert count_parameters(network.semantic) == 1_159_504 - 256
    assert count_parameters(network.aggregation) == 478_720
    assert count_parameters(network.head) == 1_201_171
    assert count_parameters(network) / 1e6 == pytest.approx(3.4, abs=0.05)


def test_layout_of_table_1(network) -> None:
    layers = [m for m in network.modules() if isinstance(m, GatherExpansion)]
    widths = [layer.branch[-1][0].out_channels for layer in layers]
    assert widths == [32, 32, 64, 64, 128, 128, 128, 128]
    assert [len(layer.branch) for layer in layers] == [4, 3, 4, 3, 4, 3, 3, 3]  # 4: stride 2
    for layer in layers:
        expanding = layer.branch[1][0]
        assert expanding.out_channels == 6 * expanding.in_channels == 6 * expanding.groups
    detail = [m for m in network.detail.modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in detail] == [64] * 5 + [128] * 3
    assert [c.stride[0] for c in detail] == [2, 1, 2, 1, 1, 2, 1, 1]


def test_resolutions_of_the_branches(network) -> None:
    x = torch.zeros(1, 3, 64, 96)
    assert network.detail(x).shape == (1, 128, 8, 12)
    assert network.semantic(x).shape == (1, 128, 2, 3)
    assert network(x).shape == (1, 19, 8, 12)


def test_logits_where_the_branches_round_up(network) -> None:
    assert network(torch.zeros(1, 3, 40, 56)).shape == (1, 19, 5, 7)


def test_a_layer_of_stride_1_adds_its_input() -> None:
    layer = GatherExpansion(4, 4).eval()
    nn.init.zeros_(layer.branch[-1][1].weight)  # the branch is silent
    x = torch.randn(1, 4, 6, 6)
    torch.testing.assert_close(layer(x), x.relu())


def test_the_context_is_the_same_everywhere() -> None:
    """A distant pixel changes what is added, and by as much at every place."""
    torch.manual_seed(0)
    block = ContextEmbedding(4).eval()
    seen = []
    block.conv.register_forward_pre_hook(lambda _m, x: seen.append(x[0]))
    x = torch.rand(1, 4, 6, 8)
    other = x.clone()
    other[..., -1, -1] += 100
    with torch.no_grad():
        block(x)
        block(other)
    added = (seen[1] - other) - (seen[0] - x)  # (1, 4, 6, 8)
    torch.testing.assert_close(added, added[..., :1, :1].expand_as(added), rtol=0, atol=1e-4)
    assert added.abs().max() > 0.1


@pytest.mark.parametrize("gate", ["semantic_up", "semantic"])
def test_meaning_closes_and_opens_the_gates(gate: str) -> None:
    """A gate far below zero stops the detail that it steers; far above, it lets all of it pass."""
    torch.manual_seed(0)
    layer = GuidedAggregation(4).eval()
    seen = []
    layer.conv.register_forward_pre_hook(lambda _m, x: seen.append(x[0]))
    detail, semantic = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 2, 2)
    other = {"semantic_up": "semantic", "semantic": "semantic_up"}[gate]
    steered = {"semantic_up": layer.detail, "semantic": layer.detail_down}[gate]
    _constant(layer, other, -50.0)
    for value in (-50.0, 50.0):
        _constant(layer, gate, value)
        with torch.no_grad():
            layer(detail, semantic)
    expected = nn.functional.interpolate(steered(detail), size=(8, 8), mode="bilinear")
    torch.testing.assert_close(seen[0], torch.zeros_like(expected))
    torch.testing.assert_close(seen[1], expected)


def _constant(layer: GuidedAggregation, gate: str, value: float) -> None:
    """The gate's value before the sigmoid, whatever the input."""

    class Constant(nn.Module):
        def forward(self, x):
            return torch.full_like(x, value)

    setattr(layer, gate, Constant())


def test_registered() -> None:
    assert isinstance(build("bisenetv2", 11), BiSeNetV2)
