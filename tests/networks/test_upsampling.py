"""Upsampling modules: what each does to a small known tensor."""

from __future__ import annotations

import warnings
from typing import get_args

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from rtseg.networks.upsampling import (  # noqa: E402
    BedOfNails,
    Bilinear,
    CheckerboardWarning,
    Kind,
    MaxPool,
    MaxUnpool,
    Nearest,
    Transposed,
    resize_like,
    upsampling,
)

SQUARE = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])


def grid(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor(rows)[None, None]


def test_nearest_repeats() -> None:
    expected = grid([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]])
    assert torch.equal(Nearest()(SQUARE), expected.float())


def test_bilinear_is_linear_between_pixel_centres() -> None:
    row = Bilinear()(grid([[0.0, 4.0]]))[0, 0, 0]
    assert row.tolist() == [0.0, 1.0, 3.0, 4.0]
    rows = Bilinear(4)(grid([[0.0], [8.0]]))[0, 0, :, 0]
    assert rows.tolist() == [0, 0, 1, 3, 5, 7, 8, 8]


def test_bed_of_nails_puts_values_at_the_upper_left() -> None:
    expected = grid([[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]])
    assert torch.equal(BedOfNails(1)(SQUARE), expected.float())
    assert BedOfNails(1, 3)(SQUARE).sum() == SQUARE.sum()


def test_unpooling_puts_values_back_where_the_maximum_was() -> None:
    image = grid([[1, 5, 0, 0], [2, 3, 0, 7], [9, 0, 1, 2], [0, 0, 3, 0]]).float()
    pooled, where = MaxPool()(image)
    assert pooled.flatten().tolist() == [5, 7, 9, 3]
    expected = grid([[0, 1, 0, 0], [0, 0, 0, 2], [3, 0, 0, 0], [0, 0, 4, 0]])
    assert torch.equal(MaxUnpool()(SQUARE, where), expected.float())


@pytest.mark.parametrize("ties", [False, True])
def test_unpooling_is_torchs_also_where_values_are_equal(ties: bool) -> None:
    torch.manual_seed(1)
    x = torch.randn(2, 3, 12, 16)
    x = x.relu().round() if ties else x  # many zeros, as after a ReLU
    pooled, where = MaxPool()(x)
    expected, indices = nn.MaxPool2d(2, return_indices=True)(x)
    assert torch.equal(pooled, expected)
    assert torch.equal(4 * F.avg_pool2d(where, 2), torch.ones_like(pooled))
    y = torch.randn_like(pooled)
    assert torch.equal(MaxUnpool()(y, where), nn.MaxUnpool2d(2)(y, indices))


def test_pooling_passes_gradients_to_the_maximum_alone() -> None:
    x = grid([[1, 5], [2, 3]]).float().requires_grad_()
    pooled, where = MaxPool()(x)
    MaxUnpool()(pooled, where).sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [0, 1, 0, 0]


def test_a_bilinear_transposed_convolution_interpolates() -> None:
    torch.manual_seed(2)
    x = torch.randn(1, 3, 6, 7)
    for scale in (2, 4, 8):
        up = Transposed(3, 3, 2 * scale, stride=scale, bias=False, bilinear=True)
        inside = (..., slice(scale, -scale), slice(scale, -scale))
        torch.testing.assert_close(up(x)[inside], Bilinear(scale)(x)[inside])


def test_a_transposed_convolution_stamps_its_weights() -> None:
    up = Transposed(1, 1, 2, stride=2, bias=False)
    with torch.no_grad():
        up.weight.copy_(grid([[1.0, 10.0], [100.0, 1000.0]]))
    assert up(grid([[3.0]])).flatten().tolist() == [3, 30, 300, 3000]


@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 6])
def test_transposed_convolutions_scale_exactly(kernel: int) -> None:
    up = Transposed(2, 5, kernel, stride=2, uneven=True)
    assert up(torch.zeros(1, 2, 5, 7)).shape == (1, 5, 10, 14)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 2), (4, 3)])
def test_an_uneven_kernel_warns(kernel: int, stride: int) -> None:
    with pytest.warns(CheckerboardWarning, match="no multiple of the stride"):
        Transposed(1, 1, kernel, stride=stride)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Transposed(1, 1, kernel, stride=stride, uneven=True)
        Transposed(1, 1, 2 * stride, stride=stride)


def checkerboard(up: nn.Module) -> float:
    """Standard deviation over mean, inside, of what `up` makes of a constant image."""
    with torch.no_grad():
        inside = up(torch.ones(1, 1, 8, 8))[..., 4:-4, 4:-4]
    return float(inside.std() / inside.mean())


def test_the_checkerboard_is_there_and_is_gone() -> None:
    """Equal weights and a constant image: an uneven kernel draws a pattern, an even one none."""
    found = {}
    for kernel in (3, 4, 5, 6):
        up = Transposed(1, 1, kernel, stride=2, bias=False, uneven=True)
        nn.init.ones_(up.weight)
        found[kernel] = checkerboard(up)
    assert found[3] > 0.3  # 1, 2, 2 or 4 of the nine weights meet in a pixel
    assert found[5] > 0.1  # 4, 6 or 9 of 25
    assert found[4] == found[6] == 0
    resized = nn.Sequential(Nearest(), nn.Conv2d(1, 1, 3, padding=1, bias=False))
    assert checkerboard(resized) < 1e-6


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("scale", [2, 4])
def test_all_kinds_are_interchangeable(kind: Kind, scale: int) -> None:
    if kind == "unpool" and scale != 2:
        with pytest.raises(ValueError, match="unpool"):
            upsampling(kind, 6, scale)
        return
    x = torch.randn(2, 6, 8, 12)
    pooled, where = MaxPool()(x)
    up = upsampling(kind, 6, scale)(pooled, where)
    assert up.shape == (2, 6, 4 * scale, 6 * scale)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="nearest"):
        upsampling("cubic", 3)  # type: ignore[arg-type]


def test_resize_like_takes_the_size_of_the_other() -> None:
    x = torch.randn(1, 2, 5, 6)
    expected = F.interpolate(x, (9, 11), mode="bilinear", align_corners=False)
    assert torch.equal(resize_like(x, torch.zeros(3, 4, 9, 11)), expected)
