"""What a file promised and did not hold: cut files, and how many frames they lost."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream


def is_cut(path: Path, container: InputContainer, stream: VideoStream) -> bool:
    """Whether the file is shorter than its own index or header says.

    To be asked after reading: fragmented files add to their index while they are read.
    """
    size = path.stat().st_size
    family = container.format.name
    if family.startswith("mov"):
        return any(entry.pos + entry.size > size for entry in stream.index_entries)
    with path.open("rb") as file:
        head = file.read(4096)
    promised = _matroska_size(head) if family.startswith("matroska") else _riff_size(head)
    return promised is not None and promised > size


def declared_frames(
    container: InputContainer, stream: VideoStream, rate: Fraction | None
) -> int | None:
    """How many frames the file says it shows, None if it does not say.

    The index of an mp4 is exact, less what an edit list hides; other headers are taken at their
    word, or their duration is.
    """
    if container.format.name.startswith("mov"):
        return sum(not entry.is_discard for entry in stream.index_entries) or None
    return stream.frames or _by_duration(container, stream, rate)


def estimated_frames(
    container: InputContainer, stream: VideoStream, rate: Fraction | None
) -> int | None:
    """As `declared_frames`, at no cost and before reading: for progress bars."""
    return stream.frames or _by_duration(container, stream, rate)


def _by_duration(
    container: InputContainer, stream: VideoStream, rate: Fraction | None
) -> int | None:
    if rate is None:
        return None
    if stream.duration is not None and stream.time_base is not None:
        return round(stream.duration * stream.time_base * rate) or None
    if container.duration is not None:
        return round(Fraction(container.duration, 1_000_000) * rate) or None
    return None


def _riff_size(head: bytes) -> int | None:
    """Bytes an AVI says it has."""
    if head[:4] != b"RIFF":
        return None
    return int.from_bytes(head[4:8], "little") + 8


def _matroska_size(head: bytes) -> int | None:
    """Bytes a Matroska file says it has: the end of its Segment. None if it was left open."""
    at = 4  # after the identifier of the EBML header
    length, width = _ebml_number(head, at)
    at += width + length
    if head[at : at + 4] != b"\x18\x53\x80\x67":
        return None
    length, width = _ebml_number(head, at + 4)
    unknown = (1 << 7 * width) - 1
    return None if length == unknown else at + 4 + width + length


def _ebml_number(data: bytes, at: int) -> tuple[int, int]:
    """(value, bytes used) of a variable-length number: leading zeros of byte 0 tell its length."""
    first = data[at] if at < len(data) else 0
    width = 9 - first.bit_length()
    value = int.from_bytes(data[at : at + width], "big")
    return value & ((1 << 7 * width) - 1), width
