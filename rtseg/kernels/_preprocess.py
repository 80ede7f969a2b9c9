"""From a picture to the network's input in one pass: resize, colours, normalisation.

For each row of the result two rows of the source are mixed into a buffer of the source's width,
which stays in the first-level cache; then the buffer is resized along the row and converted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtseg.frame import Picture, Yuv420
from rtseg.kernels._jit import U, contracted_kernel, contracted_part
from rtseg.kernels._views import Floats, Rows, check_picture, check_tensor, source
from rtseg.kernels.tables import Axis, axis, tensor_from_bgr, tensor_from_yuv


def preprocess(image: Picture, out: Floats, mean: Sequence[float], std: Sequence[float]) -> None:
    """Write a picture into a network's input: resized, in RGB order, normalised.

    image: (H, W, 3) uint8 BGR, or `Yuv420`. out: (3, h, w) float32, C-contiguous; may be an
    engine's own memory. mean, std: three numbers each, R, G, B, in units of 0–1; the result is
    (rgb / 255 - mean) / std.

    Bilinear with half-pixel centres and clamped edges, no antialiasing. Planes are resized each on
    their own grid, then converted with the picture's matrix and range (ITU-R BT.601, BT.709,
    BT.2020 non-constant luminance) and clipped to 0–255.

    Raises ValueError for arrays of another shape or type and for a std that is not positive.
    """
    check_picture(image)
    check_tensor(out)
    means, stds = tuple(map(float, mean)), tuple(map(float, std))
    height, width = out.shape[1:]
    if isinstance(image, Yuv420):
        weights = tensor_from_yuv(image.matrix, image.full_range, means, stds)
        planes = source(image.y), source(image.u), source(image.v)
        luma = axis(image.height, height), axis(image.width, width)
        chroma = axis(image.u.shape[0], height), axis(image.u.shape[1], width)
        sizes = image.y.shape, image.u.shape
        _tensor_from_planes(*planes, *sizes, *luma, *chroma, weights, out)
    else:
        scale = tensor_from_bgr(means, stds)
        rows, columns = axis(image.shape[0], height), axis(image.shape[1], width)
        _tensor_from_bgr(source(image), image.shape[:2], rows, columns, scale, out)


@contracted_kernel
def _tensor_from_planes(
    y: Rows,
    u: Rows,
    v: Rows,
    size: tuple[int, int],
    chroma_size: tuple[int, int],
    rows: Axis,
    columns: Axis,
    chroma_rows: Axis,
    chroma_columns: Axis,
    weights: Floats,
    out: Floats,
) -> None:
    height, width = size
    chroma_height, chroma_width = chroma_size
    # One more than there is: sample `low + 1` of a plane one sample wide, where it has weight 0.
    luma = np.zeros(width + 1, np.float32)
    blue, red = np.zeros(chroma_width + 1, np.float32), np.zeros(chroma_width + 1, np.float32)
    resized = np.empty((3, out.shape[2]), np.float32)
    for row in range(out.shape[1]):
        _mix_rows(y, height, width, rows, row, luma)
        _mix_rows(u, chroma_height, chroma_width, chroma_rows, row, blue)
        _mix_rows(v, chroma_height, chroma_width, chroma_rows, row, red)
        _resize_luma(luma, columns, resized)
        _resize_chroma(blue, red, chroma_columns, resized)
        for channel in range(3):
            _convert(resized, weights, out, channel, row)


@contracted_part
def _mix_rows(plane: Rows, height: int, width: int, rows: Axis, row: int, mixed: Floats) -> None:
    """Row `row` of the result at the source's width, into `mixed`."""
    pixels, step = plane
    above = np.intp(rows.low[row]) * step
    below = min(rows.low[row] + 1, height - 1) * step
    near, far = rows.near[row], rows.far[row]
    for x in range(width):
        upper, lower = np.float32(pixels[U(above + x)]), np.float32(pixels[U(below + x)])
        mixed[x] = upper * near + lower * far


@contracted_part
def _resize_luma(luma: Floats, columns: Axis, resized: Floats) -> None:
    for x in range(resized.shape[1]):
        at = U(columns.low[x])
        resized[0, x] = luma[at] + (luma[at + U(1)] - luma[at]) * columns.far[x]


@contracted_part
def _resize_chroma(blue: Floats, red: Floats, columns: Axis, resized: Floats) -> None:
    for x in range(resized.shape[1]):
        at, far = U(columns.low[x]), columns.far[x]
        resized[1, x] = blue[at] + (blue[at + U(1)] - blue[at]) * far
        resized[2, x] = red[at] + (red[at + U(1)] - red[at]) * far


@contracted_part
def _convert(resized: Floats, weights: Floats, out: Floats, channel: int, row: int) -> None:
    """One channel of one row: (3, w) y, u, v → normalised and clipped."""
    of_y, of_u, of_v = weights[channel, 0], weights[channel, 1], weights[channel, 2]
    offset, least, most = weights[channel, 3], weights[channel, 4], weights[channel, 5]
    for x in range(resized.shape[1]):
        value = of_y * resized[0, x] + (of_u * resized[1, x] + (of_v * resized[2, x] + offset))
        value = value if value > least else least
        out[channel, row, x] = value if value < most else most


@contracted_kernel
def _tensor_from_bgr(
    image: Rows, size: tuple[int, int], rows: Axis, columns: Axis, scale: Floats, out: Floats
) -> None:
    height, width = size
    mixed = np.zeros(3 * width + 3, np.float32)
    for row in range(out.shape[1]):
        _mix_rows(image, height, 3 * width, rows, row, mixed)
        for x in range(out.shape[2]):
            at, far = U(3) * U(columns.low[x]), columns.far[x]
            for channel in range(3):
                byte = at + U(2 - channel)
                value = mixed[byte] + (mixed[byte + U(3)] - mixed[byte]) * far
                out[channel, row, x] = value * scale[channel, 0] + scale[channel, 1]
