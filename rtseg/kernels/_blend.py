"""Class colours over a picture, blended in the picture's own colour space.

Most of a picture is far from any boundary between classes: labels are looked at block by block, and
a block of one class is blended with constants, without looking anything up for a pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rtseg.frame import Picture, Yuv420
from rtseg.kernels._jit import Number, U, kernel, part
from rtseg.kernels._views import Bytes, Rows, check_blend, source, target
from rtseg.kernels.tables import BlendTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Pixels in a block: what was fastest of 8 to 128. A loop of fewer steps is not vectorised.
_BGR_BLOCK = 16  # equals tables.PATTERN
_LUMA_BLOCK = 64
_CHROMA_BLOCK = 32  # samples; 64 x 2 pixels


def blend(image: Picture, labels: Bytes, table: BlendTable, out: Picture) -> None:
    """Draw the labels' colours over `image` into `out`.

    image, out: both (H, W, 3) uint8 BGR, or both `Yuv420` of one matrix and range. `out` may be
    the image itself; other overlaps are not supported. labels: (H, W) uint8. table: made by
    `tables.blend_table` for pictures like these.

    A byte becomes (source * (256 - alpha) + colour * alpha + 128) >> 8. A chroma sample becomes
    the mean of that over its pixels, halves rounded up. Nothing is converted to RGB.

    Raises ValueError for arrays of another shape or type, or sizes or colour spaces that differ.
    """
    check_blend(image, labels, out)
    ids, size = source(labels), labels.shape
    if isinstance(image, Yuv420) and isinstance(out, Yuv420):
        planes = source(image.y), source(image.u), source(image.v)
        results = target("y", out.y), target("u", out.u), target("v", out.v)
        _blend_planes(*planes, ids, table.pattern, table.alpha, *results, size)
    elif isinstance(image, np.ndarray) and isinstance(out, np.ndarray):
        result = target("out", out)
        _blend_bgr(source(image), ids, table.pattern, table.alpha, result, size)


@kernel
def _blend_bgr(
    image: Rows,
    labels: Rows,
    pattern: NDArray[np.uint16],
    alpha: NDArray[np.uint16],
    out: Rows,
    size: tuple[int, int],
) -> None:
    (pixels, step), (ids, ids_step), (result, result_step) = image, labels, out
    height, width = size
    for row in range(height):
        for x in range(0, width, _BGR_BLOCK):
            first = row * ids_step + x
            at, to = row * step + 3 * x, row * result_step + 3 * x
            n = min(_BGR_BLOCK, width - x)
            if n == _BGR_BLOCK and _uniform(ids, first, first, _BGR_BLOCK):
                label = ids[U(first)]
                keep = np.uint16(256) - alpha[label]
                for i in range(3 * _BGR_BLOCK):
                    result[U(to + i)] = (pixels[U(at + i)] * keep + pattern[label, i]) >> 8
            else:
                for i in range(n):
                    label = ids[U(first + i)]
                    keep = np.uint16(256) - alpha[label]
                    for c in range(3):
                        j = 3 * i + c
                        result[U(to + j)] = (pixels[U(at + j)] * keep + pattern[label, c]) >> 8


@kernel
def _blend_planes(
    y: Rows,
    u: Rows,
    v: Rows,
    labels: Rows,
    pattern: NDArray[np.uint16],
    alpha: NDArray[np.uint16],
    out_y: Rows,
    out_u: Rows,
    out_v: Rows,
    size: tuple[int, int],
) -> None:
    height, width = size
    for row in range(height):
        _blend_luma(y, labels, pattern, alpha, out_y, row, width)
    for row in range((height + 1) // 2):
        _blend_chroma(u, v, labels, pattern, alpha, out_u, out_v, row, size)


@part
def _uniform(ids: Bytes, at: int, below: int, n: int) -> Number:
    """Whether the n labels from `at` on and the n from `below` on are one class."""
    first = ids[U(at)]
    different = np.uint8(0)
    for i in range(n):
        different |= (ids[U(at + i)] ^ first) | (ids[U(below + i)] ^ first)
    return different == 0


@part
def _blend_luma(
    plane: Rows,
    labels: Rows,
    pattern: NDArray[np.uint16],
    alpha: NDArray[np.uint16],
    out: Rows,
    row: int,
    width: int,
) -> None:
    (pixels, step), (ids, ids_step), (result, result_step) = plane, labels, out
    for x in range(0, width, _LUMA_BLOCK):
        first, at, to = row * ids_step + x, row * step + x, row * result_step + x
        n = min(_LUMA_BLOCK, width - x)
        if n == _LUMA_BLOCK and _uniform(ids, first, first, _LUMA_BLOCK):
            label = ids[U(first)]
            keep, colour = np.uint16(256) - alpha[label], pattern[label, 0]
            for i in range(_LUMA_BLOCK):
                result[U(to + i)] = (pixels[U(at + i)] * keep + colour) >> 8
        else:
            for i in range(n):
                label = ids[U(first + i)]
                keep = np.uint16(256) - alpha[label]
                result[U(to + i)] = (pixels[U(at + i)] * keep + pattern[label, 0]) >> 8


@part
def _blend_chroma(
    u: Rows,
    v: Rows,
    labels: Rows,
    pattern: NDArray[np.uint16],
    alpha: NDArray[np.uint16],
    out_u: Rows,
    out_v: Rows,
    row: int,
    size: tuple[int, int],
) -> None:
    (blue, blue_step), (red, red_step), (ids, ids_step) = u, v, labels
    (to_blue, to_blue_step), (to_red, to_red_step) = out_u, out_v
    height, width = size
    upper = 2 * row * ids_step
    lower = min(2 * row + 1, height - 1) * ids_step
    for x in range(0, (width + 1) // 2, _CHROMA_BLOCK):
        from_blue, from_red = row * blue_step + x, row * red_step + x
        at_blue, at_red = row * to_blue_step + x, row * to_red_step + x
        n = min(_CHROMA_BLOCK, (width + 1) // 2 - x)
        whole = 2 * (x + _CHROMA_BLOCK) <= width
        if whole and _uniform(ids, upper + 2 * x, lower + 2 * x, 2 * _CHROMA_BLOCK):
            label = ids[U(upper + 2 * x)]
            keep = np.uint16(256) - alpha[label]
            for i in range(_CHROMA_BLOCK):
                to_blue[U(at_blue + i)] = (blue[U(from_blue + i)] * keep + pattern[label, 1]) >> 8
            for i in range(_CHROMA_BLOCK):
                to_red[U(at_red + i)] = (red[U(from_red + i)] * keep + pattern[label, 2]) >> 8
        else:
            for i in range(n):
                # At odd edges the last pixel stands in for the missing one: the mean of a pixel
                # and itself, halves rounded up, is that pixel.
                left, right = 2 * (x + i), min(2 * (x + i) + 1, width - 1)
                a, b = ids[U(upper + left)], ids[U(upper + right)]
                c, d = ids[U(lower + left)], ids[U(lower + right)]
                cb, cr = blue[U(from_blue + i)], red[U(from_red + i)]
                cb_mixed = _blended(cb, a, pattern, alpha, 1)
                cr_mixed = _blended(cr, a, pattern, alpha, 2)
                if a != b or a != c or a != d:
                    cb_mixed += _blended(cb, b, pattern, alpha, 1) + 2
                    cr_mixed += _blended(cr, b, pattern, alpha, 2) + 2
                    cb_mixed += _blended(cb, c, pattern, alpha, 1)
                    cr_mixed += _blended(cr, c, pattern, alpha, 2)
                    cb_mixed += _blended(cb, d, pattern, alpha, 1)
                    cr_mixed += _blended(cr, d, pattern, alpha, 2)
                    cb_mixed, cr_mixed = cb_mixed >> 2, cr_mixed >> 2
                to_blue[U(at_blue + i)], to_red[U(at_red + i)] = cb_mixed, cr_mixed


@part
def _blended(
    sample: int,
    label: int,
    pattern: NDArray[np.uint16],
    alpha: NDArray[np.uint16],
    channel: int,
) -> Number:
    return (sample * (np.uint16(256) - alpha[label]) + pattern[label, channel]) >> 8
