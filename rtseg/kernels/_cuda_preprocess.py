"""From a picture on the GPU to the network's input in one pass: resize, colours, normalisation.

A thread makes one pixel of the input, all three channels; 32 neighbours along a row read
neighbouring bytes and write 64 (float16) or 128 bytes a channel. A source pixel is read by up to
four threads, and comes from memory once: the others find it in the caches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtseg.device.arrays import DeviceArray, Stream
from rtseg.frame import DevicePicture
from rtseg.kernels._cuda_jit import I32, U, cuda, kernel, launch, part
from rtseg.kernels._cuda_tables import (
    places,
    plane_places,
    upload,
    weights_of_bgr,
    weights_of_planes,
)
from rtseg.kernels._cuda_views import check_input, flat, plane, shifted

_BLOCK = 32, 8
"""Threads along a row, and rows."""


def preprocess(
    image: DevicePicture,
    out: DeviceArray,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    stream: Stream,
) -> None:
    """Write a picture into a network's input: resized, in RGB order, normalised.

    image: of any layout. out: (3, h, w) float16 or float32 on the device, C-contiguous; may be an
    engine's own memory. mean, std: as in `rtseg.kernels.cpu.preprocess`, whose result this is, but
    for the rounding: 2e-5 in float32, and half a unit in the last place of a float16.

    Nothing is waited for. The first call for a size and a colour space uploads tables. Raises
    ValueError for arrays of another shape or type and for a std that is not positive, EngineError.
    """
    check_input(out)
    statistics = tuple(map(float, mean)), tuple(map(float, std))
    result, (height, width) = flat("out", out), out.shape[1:]
    grid = -(-width // _BLOCK[0]), -(-height // _BLOCK[1])
    size = image.height, image.width
    first = plane(f"plane 0 of {image.layout}", image.planes[0])
    if image.layout == "bgr":
        columns, rows = (
            upload(places, src, dst, stream=stream)
            for src, dst in ((size[1], width), (size[0], height))
        )
        weights = upload(weights_of_bgr, *statistics, stream=stream)
        tables = columns, rows, weights
        launch(
            _tensor_from_bgr, grid, _BLOCK, stream,
            first.samples, first.step, *size, *tables, result, height, width,
        )  # fmt: skip
        return
    half = (size[0] + 1) // 2, (size[1] + 1) // 2
    columns = upload(plane_places, size[1], half[1], width, stream=stream)
    rows = upload(plane_places, size[0], half[0], height, stream=stream)
    space = image.layout == "p010", image.matrix, image.full_range
    weights = upload(weights_of_planes, *space, *statistics, stream=stream)
    launch(
        _tensor_from_planes, grid, _BLOCK, stream,
        first.samples, first.step, *size, *_chroma(image), *half,
        columns, rows, weights, result, height, width,
    )  # fmt: skip


def _chroma(image: DevicePicture) -> tuple[DeviceArray, int, DeviceArray, int, int]:
    """Samples and row distance of u and of v, and how far apart neighbouring samples are."""
    u = plane(f"plane 1 of {image.layout}", image.planes[1])
    if image.layout == "i420":
        v = plane("plane 2 of i420", image.planes[2])
        return u.samples, u.step, v.samples, v.step, 1
    return u.samples, u.step, shifted(u, 1).samples, u.step, 2


_OUTPUTS = "float16", "float32"
_SAMPLES = "uint8", "uint16"


@part
def _between(
    pixels: Any, above: Any, below: Any, left: Any, right: Any, far_y: Any, far_x: Any
) -> Any:
    """Bilinear mean of the four samples where two rows and two columns cross."""
    a, b = np.float32(pixels[U(above + left)]), np.float32(pixels[U(above + right)])
    c, d = np.float32(pixels[U(below + left)]), np.float32(pixels[U(below + right)])
    first, second = a + (c - a) * far_y, b + (d - b) * far_y
    return first + (second - first) * far_x


@kernel(
    *(
        f"void({s}[::1], int64, int64, int64, {s}[::1], int64, {s}[::1], int64, int64, int64, "
        f"int64, float32[::1], float32[::1], float32[::1], {t}[::1], int64, int64)"
        for s in _SAMPLES
        for t in _OUTPUTS
    )
)
def _tensor_from_planes(
    luma: Any, luma_step: int, luma_height: int, luma_width: int,
    blue: Any, blue_step: int, red: Any, red_step: int, apart: int,
    chroma_height: int, chroma_width: int,
    columns: Any, rows: Any, weights: Any, out: Any, height: int, width: int,
) -> None:  # fmt: skip
    x, row = cuda.grid(2)
    if x >= width or row >= height:
        return
    at_x, at_y = I32(columns[U(4 * x)]), I32(rows[U(4 * row)])
    far_x, far_y = columns[U(4 * x + 1)], rows[U(4 * row + 1)]
    above, below = at_y * luma_step, min(at_y + 1, luma_height - 1) * luma_step
    right = min(at_x + 1, luma_width - 1)
    y = _between(luma, above, below, at_x, right, far_y, far_x)
    at_x, at_y = I32(columns[U(4 * x + 2)]), I32(rows[U(4 * row + 2)])
    far_x, far_y = columns[U(4 * x + 3)], rows[U(4 * row + 3)]
    under = min(at_y + 1, chroma_height - 1)
    left, right = at_x * apart, min(at_x + 1, chroma_width - 1) * apart
    above, below = at_y * blue_step, under * blue_step
    u = _between(blue, above, below, left, right, far_y, far_x)
    above, below = at_y * red_step, under * red_step
    v = _between(red, above, below, left, right, far_y, far_x)
    for channel in range(3):
        of = 6 * channel
        value = weights[U(of + 1)] * u + (weights[U(of + 2)] * v + weights[U(of + 3)])
        value = weights[U(of)] * y + value
        value = max(min(value, weights[U(of + 5)]), weights[U(of + 4)])
        out[U((channel * height + row) * width + x)] = value


@kernel(
    *(
        f"void(uint8[::1], int64, int64, int64, float32[::1], float32[::1], float32[::1], "
        f"{t}[::1], int64, int64)"
        for t in _OUTPUTS
    )
)
def _tensor_from_bgr(
    image: Any, step: int, source_height: int, source_width: int,
    columns: Any, rows: Any, weights: Any, out: Any, height: int, width: int,
) -> None:  # fmt: skip
    x, row = cuda.grid(2)
    if x >= width or row >= height:
        return
    at_x, at_y = I32(columns[U(2 * x)]), I32(rows[U(2 * row)])
    far_x, far_y = columns[U(2 * x + 1)], rows[U(2 * row + 1)]
    above, below = at_y * step, min(at_y + 1, source_height - 1) * step
    left, right = 3 * at_x, 3 * min(at_x + 1, source_width - 1)
    for channel in range(3):
        byte = 2 - channel
        value = _between(image, above, below, left + byte, right + byte, far_y, far_x)
        value = value * weights[U(2 * channel)] + weights[U(2 * channel + 1)]
        out[U((channel * height + row) * width + x)] = value
