"""Planes of a decoder into a surface, on the GPU: pitched to pitched, 16 bits to 8."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from rtseg.device.arrays import Stream
from rtseg.device.failures import translated

cuda: Any = import_module("numba.cuda")  # it has few types
# The chroma of a small picture is a small grid; numba would warn of every grid below 128 blocks.
config: Any = import_module("numba.cuda.core.config")
config.CUDA_LOW_OCCUPANCY_WARNINGS = 0

_BLOCK = 32, 8  # threads along a row, which is what is read together; rows


def _kernel(function: Callable[..., None]) -> Any:
    """Compiled for the device at hand when it is first called."""
    return cuda.jit(function)


def copy_planes(planes: tuple[Any, ...], out: tuple[Any, ...], *, stream: Stream) -> None:
    """Copy nv12 or p010 planes into nv12 planes of the same size, without waiting.

    planes: (H, W) and (ceil(H/2), ceil(W/2), 2), uint8, or uint16 with 10 bits in the upper part,
    which are rounded to 8 bits; rows may be padded. Raises EngineError.
    """
    (luma, chroma), (to_luma, to_chroma) = planes, out
    wide = luma.dtype == np.uint16
    one, two = (_luma_10, _chroma_10) if wide else (_luma_8, _chroma_8)
    with translated("copying a decoded frame"):
        one[_grid(to_luma), _BLOCK, stream](luma, to_luma)
        two[_grid(to_chroma), _BLOCK, stream](chroma, to_chroma)


def _grid(plane: Any) -> tuple[int, int]:
    rows, columns = plane.shape[:2]
    return -(-columns // _BLOCK[0]), -(-rows // _BLOCK[1])


@_kernel
def _luma_8(plane: Any, out: Any) -> None:
    x, y = cuda.grid(2)
    if y < out.shape[0] and x < out.shape[1]:
        out[y, x] = plane[y, x]


@_kernel
def _chroma_8(plane: Any, out: Any) -> None:
    x, y = cuda.grid(2)
    if y < out.shape[0] and x < out.shape[1]:
        out[y, x, 0] = plane[y, x, 0]
        out[y, x, 1] = plane[y, x, 1]


@_kernel
def _luma_10(plane: Any, out: Any) -> None:
    x, y = cuda.grid(2)
    if y < out.shape[0] and x < out.shape[1]:
        out[y, x] = min((np.uint32(plane[y, x]) + np.uint32(128)) >> np.uint32(8), np.uint32(255))


@_kernel
def _chroma_10(plane: Any, out: Any) -> None:
    x, y = cuda.grid(2)
    if y < out.shape[0] and x < out.shape[1]:
        for c in range(2):
            word = np.uint32(plane[y, x, c])
            out[y, x, c] = min((word + np.uint32(128)) >> np.uint32(8), np.uint32(255))
