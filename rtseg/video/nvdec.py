"""Frames that NVDEC decoded, copied out of the decoder's pool into pictures on the GPU."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any

import av

from rtseg.device import dlpack
from rtseg.device.failures import translated
from rtseg.device.memory import Form, Memory, Ring
from rtseg.errors import DecodeError, EngineError
from rtseg.frame import ColourMatrix, DevicePicture, Yuv420
from rtseg.kernels.cuda import compile_copies, copy_planes
from rtseg.video import gpu
from rtseg.video.planes import PlaneReader, device_format, is_full_range, matrix_of

cuda: Any = import_module("numba.cuda")  # it has few types

FORMATS = "nv12", "p010le", "p016le"
"""What PyAV passes on from the GPU: 4:2:0 of 8, 10 and 12 bits."""

_WHAT = "taking over a decoded frame"


class NvdecReader:
    """A `FrameReader` whose pictures lie in a ring on the GPU, as nv12.

    FFmpeg's frames are surfaces of a small pool that the decoder waits for: each is copied at once,
    10 and 12 bits to 8, and let go when the next one comes. What FFmpeg decodes on the processor
    after all (a size that NVDEC does not take) is given as `Yuv420`.

    matrix: used instead of the file's own tag. in_flight: how many pictures may be held at a time.
    The thread that makes the reader must be the one that opens the file with it. Raises EngineError
    if CUDA cannot be started, or the copies not be compiled.
    """

    def __init__(self, matrix: ColourMatrix | None, memory: Memory, in_flight: int) -> None:
        self.hwaccel = gpu.accelerator()
        compile_copies()  # not in the first frame
        self._matrix, self._memory, self._count = matrix, memory, in_flight
        self._software = PlaneReader(matrix)
        self._stream: Any = None
        self._decoded: Any = None
        self._ring: Ring | None = None
        self._held: tuple[object, Any] | None = None

    def read(self, frame: av.VideoFrame) -> Yuv420 | DevicePicture:
        """A picture whose content is there once its event `ready` has passed.

        Raises EngineError, and DecodeError for a pixel format that is none of `FORMATS`.
        """
        if frame.format.name != "cuda":
            return self._software.read(frame)
        try:
            with translated(_WHAT):
                planes = tuple(dlpack.borrow(plane.__dlpack__()) for plane in frame.planes)
        except NotImplementedError as exc:
            raise DecodeError(
                f"the pixel format changes to {device_format(frame)}, which cannot stay on the "
                "GPU; use --decoder software"
            ) from exc
        colours = self._matrix or matrix_of(frame), is_full_range(frame)
        return self.take_over(planes, *colours, owner=frame)

    def take_over(
        self, planes: tuple[Any, ...], matrix: ColourMatrix, full_range: bool, owner: object
    ) -> DevicePicture:
        """Copy nv12 or p010 planes on the GPU, which FFmpeg's stream is filling; `owner` keeps
        them until that is done. Raises EngineError."""
        height, width = planes[0].shape
        with translated(_WHAT):
            self._prepare(Form("nv12", int(width), int(height)))
            assert self._ring is not None
            picture = self._ring.lend(matrix, full_range, on_stream=True)
            # FFmpeg works on the default stream of the context that `gpu.enter` makes current.
            self._decoded.record(cuda.legacy_default_stream())
            self._decoded.wait(self._stream)
            copy_planes(planes, picture.planes, stream=self._stream)
            picture.ready.record(self._stream)
            self._let_go()
        self._held = owner, picture.ready
        return picture

    def close(self) -> None:
        """Give the last frame back to the decoder."""
        with suppress(EngineError), translated(_WHAT):  # whoever needed its copy is told elsewhere
            self._let_go()

    def _prepare(self, form: Form) -> None:
        if self._stream is None:
            self._stream, self._decoded = cuda.stream(), cuda.event(timing=False)
        if self._ring is None or self._ring.form != form:
            self._ring = None
            self._ring = Ring(form, self._count, self._memory)

    def _let_go(self) -> None:
        """Drop the frame before, whose copy is long over."""
        if self._held is not None:
            held, self._held = self._held, None
            held[1].synchronize()
