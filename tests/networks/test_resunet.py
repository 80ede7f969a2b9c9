"""ResUNet: long skips between encoder and decoder, short ones in each block."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from rtseg.networks.counting import count_parameters  # noqa: E402
from rtseg.networks.layers import BasicBlock  # noqa: E402
from rtseg.networks.resunet import ResUNet  # noqa: E402


@pytest.fixture
def network() -> ResUNet:
    torch.manual_seed(0)
    return ResUNet(3, width=8).eval()


def test_parameters_as_published() -> None:
    """7.8 million: table II of Zhang et al. 2017, https://arxiv.org/abs/1711.10684.

    Those are the 3x3 convolutions; ours has 1x1 convolutions in the short cuts besides.
    """
    network = ResUNet(1)
    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    weights = sum(m.weight.numel() for m in convs if m.kernel_size == (3, 3))
    assert weights == pytest.approx(7.8e6, rel=0.01)
    assert count_parameters(network) == 8_218_817


def test_layout_as_published() -> None:
    """Table I of the paper: channels and strides of the seven units."""
    with torch.device("meta"):
        network = ResUNet(1)
    units = [m for m in network.modules() if isinstance(m, BasicBlock)]
    assert [u.second[0].out_channels for u in units] == [64, 128, 256, 512, 256, 128, 64]
    assert [u.first[0].stride[0] for u in units] == [1, 2, 2, 2, 1, 1, 1]


def test_output_shape(network) -> None:
    assert network(torch.zeros(2, 3, 24, 40)).shape == (2, 3, 24, 40)


def test_short_skips_carry_the_signal_past_the_convolutions(network) -> None:
    """With every residual branch at zero, as at the start, the logits still depend on the image."""
    assert all(not u.second[1].weight.any() for u in network.modules() if isinstance(u, BasicBlock))
    image = torch.randn(1, 3, 16, 16, requires_grad=True)
    network(image).square().sum().backward()
    assert image.grad.any()


def test_long_skips_carry_detail(network) -> None:
    """Without the way through the bottom, a pixel still reaches its own logit, and only that one:
    then all that is left are the short and long skips at full size."""
    nn.init.zeros_(network.down[0].shortcut[0].weight)
    image = torch.randn(1, 3, 16, 16, requires_grad=True)
    network(image)[0, :, 5, 9].square().sum().backward()
    reached = image.grad.abs().sum((0, 1)).nonzero()
    assert reached.tolist() == [[5, 9]]
