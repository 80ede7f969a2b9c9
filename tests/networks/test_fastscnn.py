"""Fast-SCNN: size, shared start, pyramid pooling, fusion."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from rtseg.networks import build  # noqa: E402
from rtseg.networks.counting import count_parameters  # noqa: E402
from rtseg.networks.fastscnn import FastSCNN, Fusion, PyramidPooling  # noqa: E402
from rtseg.networks.separable import InvertedResidual  # noqa: E402


@pytest.fixture(scope="module")
def network() -> FastSCNN:
    torch.manual_seed(0)
    return FastSCNN(19).eval()


def test_parameters(network) -> None:
    # 1.11 M: Poudel et al. 2019, https://arxiv.org/abs/1902.04502, the comparison on Cityscapes.
    # The convolutions of the published layout have that many; batch norm adds 2 %.
    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert sum(count_parameters(m) for m in convs) == pytest.approx(1.11e6, rel=0.01)
    assert count_parameters(network) == 1_137_795


def test_layout_of_table_1(network) -> None:
    blocks = [m for m in network.modules() if isinstance(m, InvertedResidual)]
    first, last = zip(*((b.branch[0][0], b.branch[-1][-1][0]) for b in blocks), strict=True)
    depthwise = [b.branch[-1][0][0] for b in blocks]
    assert [c.out_channels for c in last] == [64] * 3 + [96] * 3 + [128] * 3
    assert [c.stride[0] for c in depthwise] == [2, 1, 1, 2, 1, 1, 1, 1, 1]
    assert all(c.out_channels == 6 * c.in_channels for c in first)
    assert all(c.groups == c.in_channels for c in depthwise)
    assert [b.residual for b in blocks] == 3 * [False, True, True]


def test_no_activation_inside_its_separable_convolutions(network) -> None:
    for block in (network.down[1], network.down[2], network.classifier[0]):
        kinds = [type(m) for m in block.modules() if not list(m.children())]
        assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.Conv2d, nn.BatchNorm2d, nn.ReLU]


def test_both_branches_start_from_one_computation(network) -> None:
    calls = []
    hook = network.down.register_forward_hook(lambda *_: calls.append(1))
    logits = network(torch.zeros(1, 3, 40, 56))
    hook.remove()
    assert calls == [1]
    assert logits.shape == (1, 19, 5, 7)


def test_the_pyramid_joins_the_means_of_the_parts() -> None:
    pyramid = PyramidPooling(8, 8).eval()
    seen = {}
    for bins, level in zip((1, 2, 3, 6), pyramid.levels, strict=True):
        level[0].register_forward_hook(lambda _m, _x, y, bins=bins: seen.update({bins: y}))
    x = torch.randn(1, 8, 12, 18)
    assert pyramid(x).shape == (1, 8, 12, 18)
    for bins, means in seen.items():
        torch.testing.assert_close(means, nn.functional.adaptive_avg_pool2d(x, bins))
    assert sorted(seen) == [1, 2, 3, 6]


def test_the_dilated_fusion_reaches_the_next_coarse_pixel() -> None:
    fusion = Fusion(fine=4, coarse=4, out_channels=4).eval()
    depthwise = fusion.coarse[0][0]
    assert (depthwise.dilation, depthwise.groups) == ((4, 4), 4)
    fine = torch.zeros(1, 4, 32, 32)
    coarse = torch.ones(1, 4, 8, 8, requires_grad=True)
    nn.init.ones_(depthwise.weight)
    nn.init.ones_(fusion.coarse[1][0].weight)
    fusion(fine, coarse)[0, :, 16, 16].sum().backward()
    reached = coarse.grad[0, 0].sum(0).nonzero().flatten().tolist()
    assert reached == [2, 3, 4, 5]  # pixels 12, 16, 20, each between two coarse ones


def test_registered() -> None:
    assert isinstance(build("fastscnn", 11), FastSCNN)
