"""NVENC: whether this machine's GPU has it, and pictures on the GPU as its frames."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
from av.codec.context import CodecContext
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext

from rtseg.device import dlpack
from rtseg.errors import EngineError, SinkError
from rtseg.frame import DevicePicture
from rtseg.video import gpu

_CODEC = "h264_nvenc"


def missing(width: int, height: int) -> str | None:
    """Why NVENC cannot encode pictures of that size here; None if it can. It is opened to see.

    Data centre cards (A100, H100, H200) have none.
    """
    reason = gpu.missing()
    if reason is not None:
        return reason
    try:
        context = CodecContext.create(_CODEC, "w", gpu.accelerator())  # as `codecs.add_stream`
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = width + width % 2, height + height % 2
        context.pix_fmt, context.time_base = "nv12", Fraction(1, 25)
        context.open()
    except EngineError as exc:
        return str(exc)
    # No such encoder in this FFmpeg, no such hardware.
    except (FFmpegError, NotImplementedError, ValueError) as exc:
        return f"{_CODEC} cannot be opened ({getattr(exc, 'strerror', None) or exc})"
    return None


class FrameMaker:
    """Makes encoder frames of pictures on the GPU, without a copy."""

    def __init__(self) -> None:
        self._context: Any = None

    def frame(self, picture: DevicePicture) -> av.VideoFrame:
        """The frame of an nv12 picture of even size whose chroma follows its luma, as `Ring` has
        them; it keeps the picture's memory until the encoder is done with it.

        Raises SinkError if FFmpeg does not take it, EngineError if CUDA cannot be started.
        """
        if self._context is None:
            from av.video.frame import CudaContext

            gpu.enter()  # FFmpeg takes the current context at the first frame, see `gpu.CONTEXT`
            self._context = CudaContext(device_id=0, primary_ctx=False, current_ctx=True)
        planes = tuple(dlpack.lend(plane, picture) for plane in picture.planes)
        try:
            return av.VideoFrame.from_dlpack(planes, format="nv12", cuda_context=self._context)
        except (FFmpegError, NotImplementedError) as exc:
            reason = getattr(exc, "strerror", None) or exc
            raise SinkError(
                f"FFmpeg does not take a picture on the GPU: {reason}; use --encoder x264"
            ) from exc
