"""Planes of a decoder into a surface, on the GPU: pitched to pitched, 16 bits to 8.

A thread copies one sample; 32 neighbours along a row read and write neighbouring bytes.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from rtseg.device.arrays import DeviceArray, Stream
from rtseg.kernels._cuda_jit import U, cuda, kernel, launch
from rtseg.kernels._cuda_views import plane

_BLOCK = 32, 8
"""Threads along a row, and rows."""

COPIES = "copy_rows", "narrow_rows"
"""The names of the kernels here."""


def copy_planes(
    planes: tuple[DeviceArray, ...], out: tuple[DeviceArray, ...], *, stream: Stream
) -> None:
    """Copy nv12 or p010 planes into nv12 planes of the same size, without waiting.

    planes: (H, W) and (ceil(H/2), ceil(W/2), 2), uint8, or uint16 with 10 or 12 bits in the upper
    part, which are rounded to 8 bits; rows may be padded. Raises ValueError unless rows are of
    adjacent samples, EngineError.
    """
    for i, (source, target) in enumerate(zip(planes, out, strict=True)):
        given, taken = plane(f"plane {i} of the decoder", source), plane(f"plane {i}", target)
        rows, columns = target.shape[0], prod(target.shape[1:])  # of chroma, u and v in turn
        launch(
            _narrow_rows if source.dtype == np.uint16 else _copy_rows,
            (-(-columns // _BLOCK[0]), -(-rows // _BLOCK[1])), _BLOCK, stream,
            given.samples, given.step, taken.samples, taken.step, rows, columns,
        )  # fmt: skip


@kernel("void(uint8[::1], int64, uint8[::1], int64, int64, int64)")
def _copy_rows(
    source: Any, source_step: int, out: Any, out_step: int, height: int, width: int
) -> None:
    x, y = cuda.grid(2)
    if x >= width or y >= height:
        return
    out[U(y * out_step + x)] = source[U(y * source_step + x)]


@kernel("void(uint16[::1], int64, uint8[::1], int64, int64, int64)")
def _narrow_rows(
    source: Any, source_step: int, out: Any, out_step: int, height: int, width: int
) -> None:
    x, y = cuda.grid(2)
    if x >= width or y >= height:
        return
    rounded = np.uint32(np.uint32(source[U(y * source_step + x)]) + np.uint32(128))
    out[U(y * out_step + x)] = min(np.uint32(rounded >> np.uint32(8)), np.uint32(255))
