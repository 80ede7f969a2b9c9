"""The kernels on an NVIDIA GPU, on pictures and arrays that lie there.

    preprocess(image, out, mean, std, *, stream)                 DevicePicture → (3, h, w) input
    postprocess(logits, labels, *, stream, valid, confidence)    (C, h, w) → (H, W) class ids
    blend(image, labels, table, out, *, stream)                  class colours over a picture
    lay(out, layers, x, y, *, stream)                            a sprite over a picture
    copy_planes(planes, out, *, stream)                          a decoder's planes into a picture's

Results are those of `rtseg.kernels.cpu`: labels, blends and sprites bit by bit, the network's input
within its rounding; `copy_planes` is for the GPU alone. Calls put their work on `stream`, a stream
of numba's, and wait for nothing, nor for a picture's `ready` event. Nothing is allocated but small
tables, which the first call with other sizes, colours or a new `valid` uploads, and waits for: make
each call once before it is captured in a graph, and hold `uploads()` as long as the graph.

Arrays are `numba.cuda` device arrays, or anything else with numpy's shape, dtype and strides and
with `__cuda_array_interface__`. Any thread may call, each on a stream of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rtseg.device.arrays import DeviceArray, Stream
from rtseg.frame import DevicePicture, Layout
from rtseg.kernels._cuda_blend import blend
from rtseg.kernels._cuda_copy import COPIES, copy_planes
from rtseg.kernels._cuda_jit import compile_kernels, cuda
from rtseg.kernels._cuda_lay import lay
from rtseg.kernels._cuda_postprocess import postprocess
from rtseg.kernels._cuda_preprocess import preprocess
from rtseg.kernels._cuda_tables import uploads

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = [
    "blend", "compile_all", "compile_copies", "copy_planes", "lay", "postprocess", "preprocess",
    "uploads",
]  # fmt: skip


def compile_all(stream: Stream | None = None) -> None:
    """Compile every kernel for the current device, or load it from the cache, and bring those that
    every frame needs to the device by running them once on a picture of 2x2.

    Seconds the first time on a machine. stream: what to run on; a new one by default. It is waited
    for. Raises EngineError.
    """
    compile_kernels()
    stream = cuda.stream() if stream is None else stream
    labels, valid = _blank((2, 2), np.uint8), _blank((1,), np.int32)
    tensor = _blank((3, 2, 2), np.float16)
    shapes: dict[Layout, tuple[tuple[int, ...], ...]] = {
        "nv12": ((2, 2), (1, 1, 2)), "bgr": ((2, 2, 3),)
    }  # fmt: skip
    for layout, planes in shapes.items():
        image = DevicePicture(tuple(_blank(shape, np.uint8) for shape in planes), layout)
        preprocess(image, tensor, (0, 0, 0), (1, 1, 1), stream=stream)
    postprocess(_blank((1, 2, 2), np.float32), labels, stream=stream, valid=valid)
    stream.synchronize()


def compile_copies() -> None:
    """Compile what `copy_planes` launches, which `compile_all` does too. Raises EngineError."""
    compile_kernels(*COPIES)


def _blank(shape: tuple[int, ...], dtype: DTypeLike) -> DeviceArray:
    return cuda.to_device(np.zeros(shape, dtype))
