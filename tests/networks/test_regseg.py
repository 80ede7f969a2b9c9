"""RegSeg: parameters, the split dilations, the field of view, sizes that round up."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from rtseg.networks.counting import count_parameters, receptive_field  # noqa: E402
from rtseg.networks.layers import Sizes  # noqa: E402
from rtseg.networks.regseg import DBlock, RegSeg, SplitConv, SqueezeExcite  # noqa: E402


@pytest.fixture(scope="module")
def network() -> RegSeg:
    torch.manual_seed(0)
    return RegSeg(19).eval()


# 3.34 M: https://arxiv.org/abs/2111.09957, the comparison on Cityscapes (19 classes).
def test_parameters(network) -> None:
    assert count_parameters(network) == 3_334_951
    assert count_parameters(network) == pytest.approx(3.34e6, rel=0.01)


def test_dilations_and_groups_as_published(network) -> None:
    dilations = [
        tuple(conv[0].dilation[0] for conv in block.branch[1].convs) for block in network.stage16
    ]
    assert dilations == [(1,), (1,), (1, 2), *4 * [(1, 4)], *7 * [(1, 14)]]
    for block in (m for m in network.modules() if isinstance(m, DBlock)):
        for conv in block.branch[1].convs:
            assert conv[0].in_channels // conv[0].groups == 16


def test_widths_as_published(network) -> None:
    stages = (network.stage4, network.stage8, network.stage16)
    assert [stage[-1].branch[3][0].out_channels for stage in stages] == [48, 128, 320]
    assert network.stage16[-2].branch[3][0].out_channels == 256
    assert [len(stage) for stage in stages] == [2, 3, 14]


def test_half_of_the_channels_is_dilated() -> None:
    split = SplitConv(32, (1, 3)).eval()
    for conv in split.convs:
        nn.init.ones_(conv[0].weight)
    for channel, distance in ((0, 1), (31, 3)):
        image = torch.ones(1, 32, 9, 9, requires_grad=True)
        split(image)[0, channel, 4, 4].backward()
        seen = image.grad[0] > 0
        own = slice(0, 16) if channel < 16 else slice(16, 32)
        assert seen[own].any()
        assert seen.sum() == seen[own].sum()
        assert seen.any(0).any(0).nonzero().flatten().tolist() == [4 - distance, 4, 4 + distance]


# 3807: https://github.com/RolandGao/RegSeg, AblationStudies.md, row 1. 63 up to the first block at
# 1/16, then 2 * 16 * (1 + 2 + 4 * 4 + 7 * 14).
def test_field_of_view_of_the_backbone(network) -> None:
    backbone = nn.Sequential(*copy.deepcopy([network.stage4, network.stage8, network.stage16]))
    for block in (m for m in backbone.modules() if isinstance(m, DBlock)):
        block.branch[2] = nn.Identity()  # squeeze and excitation sees the whole image
    assert receptive_field(backbone, Sizes(16)) == 3807


def test_squeeze_and_excitation_scales_whole_channels() -> None:
    torch.manual_seed(0)
    layer = SqueezeExcite(8, 4).eval()
    x = torch.rand(2, 8, 3, 5) + 0.1
    factor = layer(x) / x
    torch.testing.assert_close(factor, factor[:, :, :1, :1].expand_as(x))
    assert ((factor > 0) & (factor < 1)).all()
    assert not torch.allclose(factor[0], factor[1])


@pytest.mark.parametrize("size", [(4, 4), (20, 12), (36, 28), (64, 48)])
def test_sizes_that_the_strides_do_not_divide_round_up(network, size) -> None:
    width, height = size
    with torch.no_grad():
        logits = network(torch.randn(1, 3, height, width))
    assert logits.shape == (1, 19, height // 4, width // 4)
    assert torch.isfinite(logits).all()


def test_the_short_cut_averages_an_odd_rim_by_itself() -> None:
    block = DBlock(16, 16, stride=2).eval()
    nn.init.zeros_(block.branch[3][1].weight)
    nn.init.zeros_(block.shortcut[1][0].weight)
    for channel in range(16):
        block.shortcut[1][0].weight.data[channel, channel] = 1.0
    x = torch.arange(9.0).reshape(1, 1, 3, 3).expand(1, 16, 3, 3)
    expected = torch.tensor([[2.0, 3.5], [6.5, 8.0]])
    torch.testing.assert_close(block(x)[0, 0], expected, rtol=1e-4, atol=1e-4)
