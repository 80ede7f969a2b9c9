"""What decodes a video file: the processor, or the GPU where that works."""

from __future__ import annotations

from pathlib import Path

from av.codec.hwaccel import hwdevices_available

from rtseg.device.memory import Memory
from rtseg.errors import SourceError
from rtseg.frame import ColourMatrix
from rtseg.video import gpu
from rtseg.video.base import Decoder, Limits, shown
from rtseg.video.files import VideoFile
from rtseg.video.planes import FrameReader, PlaneReader


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
    reason = missing() or _unsuitable(plain)
    if reason is None:
        from rtseg.video.nvdec import FORMATS, NvdecReader

        try:
            video = opened(NvdecReader(matrix, memory, in_flight))
        except SourceError as exc:  # the processor has just read this file
            reason = _cause(exc)
        else:
            if video.on_device in FORMATS:
                plain.close()
                return video
            video.close()
            reason = f"it does not give this file's pictures as {', '.join(FORMATS)}"
    if decoder == "nvdec":
        plain.close()
        raise SourceError(
            f"{shown(path)} cannot be decoded by NVDEC: {reason}; use --decoder auto or software"
        )
    plain.notes.append(f"decoded on the processor; NVDEC is not used: {reason}")
    return plain


def missing() -> str | None:
    """Why frames cannot be decoded on the GPU of this machine; None if nothing speaks against."""
    reason = gpu.missing()
    if reason is not None:
        return reason
    if "cuda" not in hwdevices_available():
        return "this FFmpeg was built without it"
    try:
        import rtseg.video.nvdec  # noqa: F401 - whether it can be
    except ImportError as exc:
        return f"numba-cuda cannot be loaded ({exc}); pip install 'rtseg[cuda]'"
    return None


def _unsuitable(video: VideoFile) -> str | None:
    return None if video.upright else "the pictures have to be turned"


def _cause(exc: SourceError) -> str:
    """FFmpeg's own words, such as "Operation not permitted" where it finds no driver."""
    return str(getattr(exc.__cause__, "strerror", None) or exc.__cause__ or exc)
