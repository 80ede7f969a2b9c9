"""`open_source`: from what the user names to an iterator of frames."""

from __future__ import annotations

import os
import re
from pathlib import Path

from rtseg.device.memory import Memory
from rtseg.errors import SourceError
from rtseg.frame import ColourMatrix
from rtseg.video.base import Decoder, Limits, Source, SourceInfo, shown

__all__ = ["Source", "SourceInfo", "open_source"]

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def open_source(
    spec: str | Path,
    *,
    max_frames: int | None = None,
    vid_stride: int = 1,
    autorotate: bool = True,
    max_pixels: int = 100_000_000,
    matrix: ColourMatrix | None = None,
    decoder: Decoder = "software",
    memory: Memory | None = None,
    in_flight: int = 16,
) -> Source:
    """Open a video file, an image, a folder of images, a glob, or the synthetic scene.

    spec: a path, a pattern such as `frames/*.png`, or `synthetic:1280x720@30?frames=300&seed=1`.
        A path that exists is taken as such, whatever characters it has.
    max_frames: stop after this many frames; one that is lost has failed only if none takes its
        place.
    vid_stride: give every n-th frame; those between count neither as read nor as failed.
    autorotate: turn pictures as the file's rotation or EXIF data says.
    max_pixels: refuse larger pictures before they are decoded.
    matrix: YUV matrix of a video file, instead of its tag.
    decoder: of a video file. "software" gives frames in the machine's memory, "nvdec" on the GPU;
        "auto" is nvdec where it works, and a note says why it does not.
    memory: counts what frames on the GPU take; in_flight: how many of them are held at the most.

    Close the source, or use it in a `with` statement. Raises SourceError if it cannot be opened,
    IncompleteRecordingError for a recording without an index, EngineError if the GPU's memory is
    full.
    """
    limits = Limits(max_frames, vid_stride)
    text = os.fspath(spec)
    path = Path(spec)
    if not text or not _exists(path):
        if text.startswith("synthetic:"):
            from rtseg.video.generated import SyntheticSource

            return SyntheticSource(text, limits=limits, max_pixels=max_pixels)
        _refuse_address(text)
    from rtseg.video import images

    found = images.find(path)
    if found is not None:
        return images.ImageFiles(
            path, found, limits=limits, autorotate=autorotate, max_pixels=max_pixels
        )
    from rtseg.video.decoding import open_video

    return open_video(
        path, limits=limits, autorotate=autorotate, max_pixels=max_pixels, matrix=matrix,
        decoder=decoder, memory=memory or Memory(), in_flight=in_flight,
    )  # fmt: skip


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # no permission on the way, or a null byte in the name
        return False


def _refuse_address(text: str) -> None:
    if not text or "\0" in text:
        raise SourceError(f"{text!r} is no path; expected a video, an image or a folder")
    if _URL.match(text):
        scheme = text.split("://", 1)[0].lower()
        raise SourceError(
            f"{scheme}:// addresses are not supported yet, nor are other live sources; record to "
            "a file and give that"
        )
    if text.isdigit():
        raise SourceError(
            f"{shown(text)} is no file, and cameras are not supported yet; record to a file"
        )
