"""What decodes a video file: the processor, or the GPU where that works."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from av.codec.hwaccel import hwdevices_available

from rtseg.device.memory import Memory
from rtseg.errors import EngineError, SourceError
from rtseg.frame import ColourMatrix
from rtseg.video import gpu
from rtseg.video.base import Decoder, Limits, shown
from rtseg.video.files import VideoFile
from rtseg.video.planes import FrameReader, PlaneReader

_LIBRARY = "libnvcuvid.so.1"

_H264 = "Baseline", "Constrained Baseline", "Main", "High"
"""Profiles that every NVDEC decodes:
https://docs.nvidia.com/video-technologies/video-codec-sdk/nvdec-video-decoder-api-prog-guide/.
FFmpeg does not look at the profile, and would give whatever comes out."""


def open_video(
    path: Path,
    *,
    limits: Limits,
    autorotate: bool,
    max_pixels: int,
    matrix: ColourMatrix | None,
    decoder: Decoder,
    memory: Memory,
    in_flight: int,
) -> VideoFile:
    """Open a video file; see `open_source`.

    Raises SourceError if it cannot be read, or not by NVDEC if that was asked for by name.
    """

    def opened(reader: FrameReader) -> VideoFile:
        return VideoFile(
            path, limits=limits, autorotate=autorotate, max_pixels=max_pixels, reader=reader
        )

    plain = opened(PlaneReader(matrix))
    if decoder == "software":
        return plain
    with ExitStack() as stack:
        stack.callback(plain.close)  # unless it is what is given back
        found = missing() or _unsuitable(plain) or _by_nvdec(opened, matrix, memory, in_flight)
        if isinstance(found, VideoFile):
            return found
        if decoder == "nvdec":
            raise SourceError(
                f"{shown(path)} cannot be decoded by NVDEC: {found}; use --decoder auto or software"
            )
        stack.pop_all()
    plain.notes.append(f"decoded on the processor; NVDEC is not used: {found}")
    return plain


def _by_nvdec(
    opened: Callable[[FrameReader], VideoFile],
    matrix: ColourMatrix | None,
    memory: Memory,
    in_flight: int,
) -> VideoFile | str:
    """The file decoded on the GPU, or why it cannot be."""
    from rtseg.video.nvdec import FORMATS, NvdecReader

    try:
        video = opened(NvdecReader(matrix, memory, in_flight))
    except SourceError as exc:  # the processor has just read this file
        return _cause(exc)
    except EngineError as exc:
        return str(exc)
    if video.on_device in FORMATS:
        return video
    video.close()
    return f"it does not give this file's pictures as {', '.join(FORMATS)}"


def missing() -> str | None:
    """Why frames cannot be decoded on the GPU of this machine; None if nothing speaks against."""
    reason = gpu.missing()
    if reason is not None:
        return reason
    if "cuda" not in hwdevices_available():
        return "this FFmpeg was built without it"
    if not _has_library():
        return (
            f"the driver's {_LIBRARY} is not there (in a container: "
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility,video)"
        )
    try:
        import rtseg.video.nvdec  # noqa: F401 - whether it can be
    except ImportError as exc:
        return f"numba-cuda cannot be loaded ({exc}); pip install 'rtseg[cuda]'"
    return None


def _has_library() -> bool:
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return False
    return True


def _unsuitable(video: VideoFile) -> str | None:
    """Why NVDEC is not to be tried on a file; None if it is."""
    if not video.upright:
        return "the pictures have to be turned"
    codec, profile = video.coding
    if codec == "h264" and profile not in _H264:
        return f"it does not decode H.264 of profile {profile or 'unknown'}"
    return None


def _cause(exc: SourceError) -> str:
    """FFmpeg's own words, such as "Operation not permitted" where it finds no driver."""
    return str(getattr(exc.__cause__, "strerror", None) or exc.__cause__ or exc)
