"""Parameters, multiply-accumulates and receptive fields, on networks small enough to do by hand."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from rtseg.networks.counting import count_macs, count_parameters, receptive_field  # noqa: E402
from rtseg.networks.layers import AdaptiveAverage, GlobalAverage, Sizes  # noqa: E402
from rtseg.networks.upsampling import MaxPool, MaxUnpool, Transposed  # noqa: E402


def conv(kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    padding = dilation * (kernel - 1) // 2
    return nn.Conv2d(3, 3, kernel, stride, padding, dilation)


def test_parameters_that_do_not_learn_are_not_counted() -> None:
    network = nn.Sequential(conv(), nn.BatchNorm2d(3))
    network[0].bias.requires_grad_(False)
    assert count_parameters(network) == 3 * 3 * 9 + 2 * 3


def test_macs_of_a_strided_convolution() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1))
    assert count_macs(network, 20, 10) == 8 * 3 * 9 * 10 * 5


def test_macs_of_groups_and_of_a_transposed_convolution() -> None:
    assert count_macs(nn.Conv2d(3, 6, 1, groups=3), 4, 4) == 6 * 16
    assert count_macs(Transposed(3, 5, 4), 4, 6) == 3 * 5 * 16 * 24


def test_counting_leaves_the_mode_as_it_was() -> None:
    network = nn.Sequential(conv(), nn.Dropout())
    count_macs(network.train(), 8, 8)
    assert network.training


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([conv()], 3),
        ([conv(), conv(), conv()], 7),
        ([conv(dilation=1), conv(dilation=2), conv(dilation=4)], 15),
        ([conv(stride=2), conv(stride=2)], 7),  # 3 + 2·2
        ([conv(), nn.MaxPool2d(2), conv()], 8),  # 3 + 1 + 2·2
        ([conv(7), nn.BatchNorm2d(3), nn.ReLU()], 7),
    ],
)
def test_receptive_field_as_added_up(layers: list[nn.Module], expected: int) -> None:
    assert receptive_field(nn.Sequential(*layers), Sizes(4)) == expected


@pytest.mark.parametrize("pool", [GlobalAverage(), AdaptiveAverage(1)])
def test_a_global_average_sees_the_whole_image(pool: nn.Module) -> None:
    class Gated(nn.Module):
        def forward(self, x):
            return x + pool(x)

    assert receptive_field(nn.Sequential(conv(), Gated()), Sizes(4)) is None


def test_unpooling_sees_the_whole_cell() -> None:
    class Unpooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.pool, self.unpool = conv(1), MaxPool(), MaxUnpool()

        def forward(self, x):
            return self.unpool(*self.pool(self.conv(x)))

    assert receptive_field(Unpooled(), Sizes(2)) == 2


def test_measuring_leaves_the_network_as_it_was() -> None:
    network = nn.Sequential(conv(), nn.MaxPool2d(2))
    before = network[0].weight.clone()
    receptive_field(network, Sizes(2))
    assert torch.equal(network[0].weight, before)
    assert isinstance(network[1], nn.MaxPool2d)


@pytest.mark.parametrize("bins", [1, 2, 3, 6])
@pytest.mark.parametrize("size", [(6, 6), (11, 23), (45, 60), (4, 5)])
def test_adaptive_average_is_torchs(bins: int, size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size)
    torch.testing.assert_close(AdaptiveAverage(bins)(x), nn.AdaptiveAvgPool2d(bins)(x))


@pytest.mark.parametrize(
    ("sizes", "asked", "near"),
    [
        (Sizes(8), (480, 360), (480, 360)),
        (Sizes(32), (480, 360), (480, 352)),
        (Sizes(8), (1, 13), (8, 16)),
        (Sizes(16, offset=12, minimum=188), (572, 572), (572, 572)),
        (Sizes(16, offset=12, minimum=188), (480, 100), (476, 188)),
        (Sizes(16, minimum=32), (20, 45), (32, 48)),
    ],
)
def test_nearest_sizes(sizes: Sizes, asked: tuple[int, int], near: tuple[int, int]) -> None:
    assert sizes.nearest(*asked) == near
    sizes.check(torch.zeros(1, 3, near[1], near[0]))
