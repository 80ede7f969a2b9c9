"""What a file is before FFmpeg opens it: refused early, with a sentence that helps."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from rtseg.errors import IncompleteRecordingError, SourceError
from rtseg.video.base import shown

EXPECTED = "expected a video such as mp4, mov, mkv, webm, avi or ts"

# Containers that hold their pictures themselves. Not here: playlists and descriptions, which make
# FFmpeg follow other files and hosts, and text, which it would render as a terminal.
DEMUXERS = (
    "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,h264,hevc,vvc,av1,obu,ivf,m4v,mpegvideo,mjpeg,gif,"
    "apng,mxf,nut,yuv4mpegpipe,dv,wtv,rm,vc1,h263"
)

_PLAYLISTS = (
    (b"#EXTM3U", "an HLS playlist"),
    (b"ffconcat", "a list of files to join"),
    (b"[playlist]", "a playlist"),
    (b"v=0", "a session description (SDP)"),
    (b"<MPD", "a DASH manifest"),
    (b"<smil", "a playlist"),
)
_PLAYLIST_NAMES = {".m3u", ".m3u8", ".pls", ".sdp", ".mpd", ".ffconcat", ".xspf", ".asx", ".strm"}


def check_file(path: Path) -> None:
    """Raise SourceError unless `path` is a readable, non-empty file that is no playlist."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise SourceError(
                f"{shown(path)} is neither a file nor a folder; cameras, pipes and other live "
                "sources are not supported yet"
            )
        with path.open("rb") as file:
            start = file.read(1024)
    except FileNotFoundError as exc:
        raise SourceError(f"no such file: {shown(path)}; check the path") from exc
    except PermissionError as exc:
        raise SourceError(f"{shown(path)} may not be read; check its permissions") from exc
    except OSError as exc:
        raise SourceError(f"{shown(path)} cannot be read: {exc.strerror}") from exc
    if not start:
        raise SourceError(f"{shown(path)} is empty (0 bytes); {EXPECTED}")
    _refuse_playlist(path, start)


def _refuse_playlist(path: Path, start: bytes) -> None:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    what = next((what for mark, what in _PLAYLISTS if text.startswith(mark)), None)
    if b"<MPD" in text:
        what = "a DASH manifest"
    if what is None and path.suffix.lower() in _PLAYLIST_NAMES:
        what = "a playlist"
    if what is not None:
        raise SourceError(
            f"{shown(path)} is {what}, which may lead to other files and hosts; give the video "
            "file itself"
        )


def unreadable(path: Path, reason: str | None) -> SourceError | IncompleteRecordingError:
    """The error for a file that FFmpeg could not open, `reason` being its own words."""
    with path.open("rb") as file:
        if _lacks_index(file):
            return IncompleteRecordingError(
                f"incomplete recording: {shown(path)} was cut off before its index was written, "
                "so no frame can be found in it; try `untrunc` with a complete recording of the "
                "same camera, or record again"
            )
    return SourceError(
        f"{shown(path)} is not a video that can be read ({reason or 'unknown format'}); {EXPECTED}"
    )


def _lacks_index(file: BinaryIO) -> bool:
    """Whether this is an ISO file (mp4, mov) whose `moov` box is missing or cut."""
    kinds = list(_boxes(file))
    if not kinds or kinds[0][0] not in (b"ftyp", b"mdat", b"wide", b"free", b"skip"):
        return False
    return not any(kind == b"moov" and whole for kind, whole in kinds)


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """The kind of each top-level box, and whether all of it is there."""
    end = file.seek(0, 2)
    at = 0
    while at + 8 <= end:
        file.seek(at)
        head = file.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        elif size == 0:  # to the end of the file
            size = end - at
        if size < 8:
            return
        yield kind, at + size <= end
        at += size
