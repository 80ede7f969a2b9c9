"""Blending sample by sample: pictures on the GPU of odd sizes or with rows of broken words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtseg.device.arrays import DeviceArray, Stream
from rtseg.kernels._cuda_jit import I32, U, cuda, kernel, launch, part
from rtseg.kernels._cuda_views import Plane, shifted

_BLOCK = 32, 8
_8 = np.uint32(8)


def blend_bgr_narrow(
    ids: Plane,
    colours: DeviceArray,
    sources: Sequence[Plane],
    results: Sequence[Plane],
    height: int,
    width: int,
    stream: Stream,
) -> None:
    """See `_cuda_blend.blend`; a thread draws a pixel."""
    grid = -(-width // _BLOCK[0]), -(-height // _BLOCK[1])
    planes = (x for p in (ids, sources[0], results[0]) for x in (p.samples, p.step))
    launch(_blend_bgr_bytes, grid, _BLOCK, stream, colours, *planes, height, width)


def blend_planes_narrow(
    ids: Plane,
    colours: DeviceArray,
    sources: Sequence[Plane],
    results: Sequence[Plane],
    height: int,
    width: int,
    stream: Stream,
) -> None:
    """See `_cuda_blend.blend`; a thread draws the 2x2 pixels of a chroma sample. Two planes are
    nv12, three are i420."""
    apart = 2 if len(sources) == 2 else 1
    if apart == 2:
        sources, results = (
            (luma, chroma, shifted(chroma, 1)) for luma, chroma in (sources, results)
        )
    grid = -(-((width + 1) // 2) // _BLOCK[0]), -(-((height + 1) // 2) // _BLOCK[1])
    planes = (x for p in (ids, *sources, *results) for x in (p.samples, p.step))
    launch(_blend_planes_bytes, grid, _BLOCK, stream, colours, *planes, apart, height, width)


@part
def _mixed(value: Any, label: Any, channel: Any, table: Any) -> Any:
    k = 4 * I32(label)
    keep, colour = table[U(k)], table[U(k + 1 + channel)]
    return np.uint32(np.uint32(np.uint32(value) * keep + colour) >> _8)


@kernel("void(uint32[::1]" + ", uint8[::1], int64" * 3 + ", int64, int64)")
def _blend_bgr_bytes(
    table: Any, labels: Any, labels_step: int, image: Any, step: int, out: Any, out_step: int,
    height: int, width: int,
) -> None:  # fmt: skip
    x, row = cuda.grid(2)
    if x >= width or row >= height:
        return
    label = labels[U(row * labels_step + x)]
    for c in range(3):
        value = _mixed(image[U(row * step + 3 * x + c)], label, c, table)
        out[U(row * out_step + 3 * x + c)] = value


@kernel("void(uint32[::1]" + ", uint8[::1], int64" * 7 + ", int64, int64, int64)")
def _blend_planes_bytes(
    table: Any, labels: Any, labels_step: int,
    luma: Any, luma_step: int, blue: Any, blue_step: int, red: Any, red_step: int,
    out: Any, out_step: int, out_blue: Any, out_blue_step: int, out_red: Any, out_red_step: int,
    apart: int, height: int, width: int,
) -> None:  # fmt: skip
    x, row = cuda.grid(2)
    if 2 * x >= width or 2 * row >= height:
        return
    u, v = blue[U(row * blue_step + apart * x)], red[U(row * red_step + apart * x)]
    sum_u, sum_v = np.uint32(2), np.uint32(2)  # halves are rounded up
    for i in range(2):
        for j in range(2):
            # At odd edges the last pixel stands in for the missing one, in chroma alone.
            py, px = min(2 * row + i, height - 1), min(2 * x + j, width - 1)
            label = labels[U(py * labels_step + px)]
            sum_u = np.uint32(sum_u + _mixed(u, label, 1, table))
            sum_v = np.uint32(sum_v + _mixed(v, label, 2, table))
            if py == 2 * row + i and px == 2 * x + j:
                value = _mixed(luma[U(py * luma_step + px)], label, 0, table)
                out[U(py * out_step + px)] = value
    out_blue[U(row * out_blue_step + apart * x)] = sum_u >> np.uint32(2)
    out_red[U(row * out_red_step + apart * x)] = sum_v >> np.uint32(2)
