"""ERFNet: parameters, dilations, and what a factorised block sees."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from rtseg.networks.counting import count_parameters  # noqa: E402
from rtseg.networks.erfnet import ERFNet, Factorised  # noqa: E402


@pytest.fixture(scope="module")
def network() -> ERFNet:
    torch.manual_seed(0)
    return ERFNet(19).eval()


def convolutions(network: nn.Module) -> list:
    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


# 2,064,191: the count of https://github.com/osmr/imgclsmob, pytorchcv, erfnet_cityscapes, for 19
# classes, of layers as in https://github.com/Eromera/erfnet_pytorch, train/erfnet.py. It includes
# biases before batch norm, one a channel.
def test_parameters(network) -> None:
    biases = sum(conv.out_channels for conv in convolutions(network) if conv.bias is None)
    assert count_parameters(network) + biases == 2_064_191
    assert biases < 0.002 * count_parameters(network)


def test_dilations_and_dropout_as_published(network) -> None:
    blocks = [m for m in network.modules() if isinstance(m, Factorised)]
    dilations = [max(conv.dilation[0] for conv in convolutions(block)) for block in blocks]
    assert dilations == 5 * [1] + 2 * [2, 4, 8, 16] + 4 * [1]
    rates = [block.branch[-1].p for block in blocks]
    assert rates == 5 * [0.03] + 8 * [0.3] + 4 * [0.0]


def test_the_decoder_deconvolves_to_the_size_of_the_input(network) -> None:
    ups = [m for m in network.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [(up.kernel_size, up.stride, up.out_channels) for up in ups] == [
        ((3, 3), (2, 2), 64),
        ((3, 3), (2, 2), 16),
        ((2, 2), (2, 2), 19),
    ]
    with torch.no_grad():
        assert network(torch.randn(1, 3, 24, 40)).shape == (1, 19, 24, 40)


@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_a_factorised_block_sees_two_full_squares(dilation) -> None:
    """3x1 after 1x3 reaches every pixel of a 3x3, and the dilated pair those around each of it."""
    block = Factorised(1, dilation=dilation).eval()
    for conv in convolutions(block):
        nn.init.constant_(conv.weight, 0.5)
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
    image = torch.ones(1, 1, 15, 15, requires_grad=True)
    block(image)[0, 0, 7, 7].backward()
    reach = {7 + a + b for a in (-1, 0, 1) for b in (-dilation, 0, dilation)}
    expected = torch.zeros(15, 15, dtype=torch.bool)
    for row in reach:
        expected[row, sorted(reach)] = True
    assert torch.equal(image.grad[0, 0] > 0, expected)


def test_factorising_saves_a_third_of_the_weights() -> None:
    weights = sum(conv.weight.numel() for conv in convolutions(Factorised(8)))
    assert weights == 2 * (2 * 3 * 8 * 8)  # two 3x3 convolutions: 2 * 9 * 8 * 8
    kernels = [conv.kernel_size for conv in convolutions(Factorised(8))]
    assert kernels == 2 * [(3, 1), (1, 3)]


def test_the_input_passes_by_the_branch() -> None:
    block = Factorised(4).eval()
    nn.init.zeros_(block.branch[-2][1].weight)
    x = torch.randn(1, 4, 5, 6)
    torch.testing.assert_close(block(x), x.relu())
