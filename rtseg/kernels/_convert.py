"""Between BGR and planes at one size, and counting labels."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from rtseg.frame import ColourMatrix, Picture, Yuv420, check_bgr
from rtseg.kernels._jit import Number, U, kernel, part
from rtseg.kernels._views import Bytes, Floats, Rows, check_labels, check_picture, source, target
from rtseg.kernels.tables import rgb_from_yuv, yuv_from_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray


def to_bgr(image: Picture) -> Bytes:
    """A picture as (H, W, 3) uint8 BGR: the array itself, or a new one converted from planes.

    With the planes' own matrix and range (ITU-R BT.601, BT.709, BT.2020 non-constant luminance);
    each chroma sample serves its 2x2 pixels. Raises ValueError for any other array.
    """
    check_picture(image)
    if not isinstance(image, Yuv420):
        return image
    out = np.empty((*image.y.shape, 3), np.uint8)
    weights = _bgr_weights(image.matrix, image.full_range)
    planes = source(image.y), source(image.u), source(image.v)
    _bgr_from_planes(*planes, weights, image.y.shape, out.reshape(-1))
    return out


def from_bgr(bgr: Bytes, out: Yuv420) -> None:
    """Write a (H, W, 3) uint8 BGR image into planes, with their matrix and range.

    A chroma sample is that of the mean colour of its 2x2 pixels, at odd edges of those that exist.
    Raises ValueError for arrays of another shape or type, and for read-only planes.
    """
    check_bgr(bgr)
    if bgr.shape[:2] != out.y.shape:
        raise ValueError(f"an image of {bgr.shape[:2]} and planes of {out.y.shape} (H, W)")
    planes = target("y", out.y), target("u", out.u), target("v", out.v)
    weights = _yuv_weights(out.matrix, out.full_range)
    _planes_from_bgr(source(bgr), weights, bgr.shape[:2], *planes)


def count(labels: Bytes) -> NDArray[np.int64]:
    """Pixels of each id: (H, W) uint8 → (256,) int64. Raises ValueError for another array."""
    check_labels(labels)
    return np.asarray(_count(source(labels), labels.shape))


@lru_cache(maxsize=8)
def _bgr_weights(matrix: ColourMatrix, full_range: bool) -> Floats:
    """(3, 4) float32: rows B, G, R; columns y, u, v, 1."""
    weights = rgb_from_yuv(matrix, full_range)[::-1].astype(np.float32)
    weights.flags.writeable = False
    return weights


# Fixed point with 14 bits after the point: a rounded weight is off by at most 2**-15, three of them
# times 255 by 0.03, far less than a grey level.


@lru_cache(maxsize=8)
def _yuv_weights(matrix: ColourMatrix, full_range: bool) -> NDArray[np.int32]:
    """(3, 4) int32: rows y, u, v; columns B, G, R, 1."""
    weights = yuv_from_rgb(matrix, full_range)[:, [2, 1, 0, 3]]
    fixed = np.rint(weights * (1 << 14)).astype(np.int32)
    fixed.flags.writeable = False
    return fixed


@kernel
def _bgr_from_planes(
    y: Rows, u: Rows, v: Rows, weights: Floats, size: tuple[int, int], out: Bytes
) -> None:
    (luma, luma_step), (blue, blue_step), (red, red_step) = y, u, v
    height, width = size
    chroma = np.empty((2, width), np.float32)
    for row in range(height):
        for x in range(width):
            chroma[0, x] = np.float32(blue[U((row >> 1) * blue_step + (x >> 1))])
            chroma[1, x] = np.float32(red[U((row >> 1) * red_step + (x >> 1))])
        for x in range(width):
            pixel = np.float32(luma[U(row * luma_step + x)])
            to = 3 * (row * width + x)
            out[U(to)] = _byte(weights, 0, pixel, chroma[0, x], chroma[1, x])
            out[U(to + 1)] = _byte(weights, 1, pixel, chroma[0, x], chroma[1, x])
            out[U(to + 2)] = _byte(weights, 2, pixel, chroma[0, x], chroma[1, x])


@part
def _byte(weights: Floats, row: int, y: Number, u: Number, v: Number) -> Number:
    """One channel of a pixel: weighted, clipped, rounded."""
    value = weights[row, 0] * y + (weights[row, 1] * u + (weights[row, 2] * v + weights[row, 3]))
    value = value if value > np.float32(0) else np.float32(0)
    value = value if value < np.float32(255) else np.float32(255)
    return np.uint8(np.int32(value + np.float32(0.5)))


@kernel
def _planes_from_bgr(
    bgr: Rows, weights: NDArray[np.int32], size: tuple[int, int], y: Rows, u: Rows, v: Rows
) -> None:
    (pixels, step), (luma, luma_step), (blue, blue_step), (red, red_step) = bgr, y, u, v
    height, width = size
    for row in range(height):
        for x in range(width):
            b, g, r = _bgr_at(pixels, row * step + 3 * x)
            luma[U(row * luma_step + x)] = _weigh(weights, 0, b, g, r, 0)
    for row in range((height + 1) // 2):
        upper, lower = 2 * row * step, min(2 * row + 1, height - 1) * step
        for x in range((width + 1) // 2):
            left, right = 6 * x, 3 * min(2 * x + 1, width - 1)
            b = g = r = np.int32(0)
            for at in (upper + left, upper + right, lower + left, lower + right):
                more = _bgr_at(pixels, at)
                b, g, r = b + more[0], g + more[1], r + more[2]
            blue[U(row * blue_step + x)] = _weigh(weights, 1, b, g, r, 2)
            red[U(row * red_step + x)] = _weigh(weights, 2, b, g, r, 2)


@part
def _bgr_at(pixels: Bytes, at: int) -> tuple[np.int32, np.int32, np.int32]:
    return np.int32(pixels[U(at)]), np.int32(pixels[U(at + 1)]), np.int32(pixels[U(at + 2)])


@part
def _weigh(weights: NDArray[np.int32], row: int, a: int, b: int, c: int, shift: int) -> Number:
    """One channel of a sum of 2**shift pixels: weighted, rounded, clipped."""
    total = weights[row, 0] * a + weights[row, 1] * b + weights[row, 2] * c
    total += (weights[row, 3] << shift) + (1 << (13 + shift))
    return min(max(total >> (14 + shift), 0), 255)


@kernel
def _count(labels: Rows, size: tuple[int, int]) -> NDArray[np.int64]:
    ids, step = labels
    # Four counters of each id: adding to the one just written would wait for it.
    counts = np.zeros((4, 256), np.int64)
    for row in range(size[0]):
        for x in range(size[1]):
            counts[x & 3, ids[U(row * step + x)]] += 1
    for i in range(256):
        counts[0, i] += counts[1, i] + counts[2, i] + counts[3, i]
    total: NDArray[np.int64] = counts[0]
    return total
