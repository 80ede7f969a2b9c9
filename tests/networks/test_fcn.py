"""FCN: scores of finer layers are added to the deep ones on the way up."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from rtseg.networks.counting import count_parameters  # noqa: E402
from rtseg.networks.fcn import FCN  # noqa: E402
from rtseg.networks.upsampling import Transposed  # noqa: E402


@pytest.fixture(scope="module")
def fcn8s() -> FCN:
    torch.manual_seed(0)
    return FCN(3).eval()


def logits(network: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return network(torch.linspace(-1, 1, 3 * 64 * 96).view(1, 3, 64, 96))


def test_parameters_as_published() -> None:
    """134.5 million: table 3 of Jégou et al. 2016, https://arxiv.org/abs/1611.09326, "FCN8"."""
    with torch.device("meta"):
        network = FCN(21)
    assert count_parameters(network) == pytest.approx(134.5e6, rel=0.01)
    # The layers of voc-fcn8s/net.py, https://github.com/shelhamer/fcn.berkeleyvision.org, counted
    # with their biases; batch norm adds a scale for each of the encoder's 4224 channels.
    assert count_parameters(network) == 134_376_863 + 4224


@pytest.mark.parametrize(("stride", "skips"), [(32, []), (16, [512]), (8, [512, 256])])
def test_the_stride_says_which_pools_are_scored(stride, skips) -> None:
    """Section 4.2 of the paper: pool4 for FCN-16s, pool4 and pool3 for FCN-8s."""
    with torch.device("meta"):
        network = FCN(5, stride=stride).eval()
        shape = network(torch.zeros(1, 3, 64, 96)).shape
    assert shape == (1, 5, 64 // stride, 96 // stride)
    assert [score.in_channels for score in network.skip_scores] == skips
    assert len(network.ups) == len(skips)


def test_fully_connected_layers_are_convolutions(fcn8s) -> None:
    kernels = [m.kernel_size for m in fcn8s.classifier.modules() if isinstance(m, nn.Conv2d)]
    assert kernels == [(7, 7), (1, 1)]
    dropouts = [m.p for m in fcn8s.modules() if isinstance(m, nn.Dropout)]
    assert dropouts == [0.5, 0.5]


@pytest.mark.parametrize("which", [0, 1])
def test_a_skip_is_summed(fcn8s, which) -> None:
    """What a skip's score gains, the logits gain: at once at 1/8, interpolated from 1/16."""
    before = logits(fcn8s)
    bias = fcn8s.skip_scores[which].bias
    with torch.no_grad():
        bias += 2.0
        gain = logits(fcn8s) - before
        bias -= 2.0
    inner = gain if which else gain[..., 1:-1, 1:-1]  # at the rim, transposed bilinear sees zeros
    torch.testing.assert_close(inner, torch.full_like(inner, 2.0))


def test_upsampling_starts_bilinear_and_is_learned(fcn8s) -> None:
    ups = list(fcn8s.ups)
    assert all(isinstance(up, Transposed) and up.weight.requires_grad for up in ups)
    ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
    assert torch.equal(ups[0].weight[1, 1], ramp[:, None] * ramp)
    assert not ups[0].weight[0, 1].any()


def test_scores_start_next_to_zero_and_let_gradients_through(fcn8s) -> None:
    fcn8s.zero_grad()
    out = fcn8s(torch.randn(1, 3, 32, 32))
    assert out.abs().max() < 0.5
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in fcn8s.stages.parameters())
    fcn8s.zero_grad()
