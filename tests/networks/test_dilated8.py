"""The dilated front end and its context module."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from rtseg.networks.counting import count_parameters, receptive_field  # noqa: E402
from rtseg.networks.dilated8 import BASIC, LARGE, Context, Dilated8  # noqa: E402
from rtseg.networks.layers import Sizes  # noqa: E402


@pytest.fixture(scope="module")
def shapes_only() -> Dilated8:
    with torch.device("meta"):
        return Dilated8(11)


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [m for m in network.modules() if isinstance(m, nn.Conv2d)]


def test_parameters_as_published(shapes_only) -> None:
    """The weights and biases of models/dilation8_camvid_deploy.prototxt,
    https://github.com/fyu/dilation; batch norm adds a scale for each of the encoder's channels."""
    published, before = 0, 3
    vgg = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    layers = [(c, 3) for c in vgg] + [(4096, 7), (4096, 1), (11, 1)] + [(11, 3)] * 7 + [(11, 1)]
    for after, kernel in layers:
        published += before * after * kernel * kernel + after
        before = after
    assert published == 134_313_443
    assert count_parameters(shapes_only) == published + sum(vgg)


def test_pools_give_way_to_dilation(shapes_only) -> None:
    """Section 4 of the paper: after the first lost pool by 2, after the second by 4."""
    assert sum(isinstance(m, nn.MaxPool2d) for m in shapes_only.modules()) == 3
    dilations = [m.dilation[0] for m in convolutions(shapes_only.front)]
    assert dilations == [1] * 10 + [2] * 3 + [4, 1]
    assert shapes_only(torch.zeros(1, 3, 64, 72, device="meta")).shape == (1, 11, 8, 9)


@pytest.mark.parametrize(
    ("widths", "channels"),
    [(BASIC, [3] * 8), (LARGE, [3 * n for n in (2, 2, 4, 8, 16, 32, 32, 1)])],
)
def test_context_as_published(widths, channels) -> None:
    """Table 1 of the paper."""
    convs = convolutions(Context(3, widths))
    assert [m.dilation[0] for m in convs] == [1, 1, 2, 4, 8, 16, 1, 1]
    assert [m.kernel_size[0] for m in convs] == [3] * 7 + [1]
    assert [m.out_channels for m in convs] == channels


def test_receptive_field_of_each_layer_as_published() -> None:
    """Table 1 of the paper, of the context module alone."""
    layers = list(Context(3))  # a ReLU between each two convolutions
    heads = [nn.Sequential(*layers[: 2 * n - 1]) for n in range(1, 9)]
    fields = [receptive_field(head, Sizes(1)) for head in heads]
    assert fields == [3, 5, 9, 17, 33, 65, 67, 67]


def test_the_basic_context_starts_as_the_identity() -> None:
    """Equation 4 of the paper; what is negative, the ReLU takes."""
    scores = torch.randn(1, 5, 6, 7)
    assert torch.equal(Context(5)(scores), scores.relu())


def test_the_large_context_starts_near_the_identity() -> None:
    """Equation 5: each class's channels share its score, but for noise."""
    torch.manual_seed(0)
    scores = torch.rand(1, 3, 20, 20)
    context = Context(3, LARGE)
    difference = context(scores) - scores
    assert 0 < difference.abs().max() < 0.2
    weight = context[6].weight[..., 1, 1]  # the third doubling, 12 → 24 channels
    centre = (weight - 1 / 8).abs() < 0.02
    expected = torch.block_diag(*[torch.ones(8, 4)] * 3).bool()
    assert torch.equal(centre, expected)
