"""What takes results: class maps as PNG, a line of JSON per frame, nothing. Video: `writer`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import cv2

from rtseg.closing import Closing
from rtseg.errors import OutputError, SinkError
from rtseg.frame import Frame, Picture, empty_like
from rtseg.segmentation import Result
from rtseg.video.base import SourceInfo, shown
from rtseg.video.output import OutputFile, check_output
from rtseg.video.writer import VideoSink

__all__ = ["JsonlSink", "MaskSink", "NullSink", "Sink", "StillSink", "VideoSink"]

# Level 1 of 9, one filter for all rows: 2.3 ms for a 720p class map of 29 KB, where OpenCV's own
# choice takes 6.5 ms for the same size. Before 4.12 it had no choice of filters.
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
if hasattr(cv2, "IMWRITE_PNG_FILTER"):
    _PNG += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]


class Sink(AbstractContextManager["Sink", None], Protocol):
    """Takes results in order of their frames; a context manager closes it.

    written: how many results were taken. `write` raises SinkError where the output breaks.
    """

    written: int

    def write(self, result: Result) -> None: ...
    def close(self) -> None: ...


class _Counting(Closing):
    """What the sinks of this file share."""

    def __init__(self) -> None:
        self.written = 0


class NullSink(_Counting):
    """Counts results and drops them: for measuring."""

    def write(self, result: Result) -> None:  # noqa: ARG002 - the protocol names it
        self.written += 1


class MaskSink(_Counting):
    """Class ids of each frame as an 8-bit greyscale PNG, `000012.png` for frame 12.

    directory: made if it does not exist. One that is not empty is refused unless `overwrite`,
        which replaces files of the same name and keeps the rest.
    names: of the files instead, without extension, by the index of the frame, such as
        `ImageFiles.stems`.

    Raises OutputError if the folder cannot be used.
    """

    def __init__(
        self, directory: str | Path, *, names: Sequence[str] | None = None, overwrite: bool = False
    ) -> None:
        super().__init__()
        self.directory = Path(directory)
        self._names = names
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            occupied = any(self.directory.iterdir())
        except OSError as exc:
            raise OutputError(f"{shown(directory)} cannot be used: {exc.strerror}") from exc
        if occupied and not overwrite:
            raise OutputError(
                f"the folder {shown(directory)} is not empty; give another one, or allow its "
                "files to be replaced (--overwrite)"
            )

    def write(self, result: Result) -> None:
        """Write the class map of a result. Raises SinkError."""
        index = result.frame.index
        name = self._names[index] if self._names else f"{index:06d}"

        coded, data = cv2.imencode(".png", result.segmentation.labels, _PNG)
        path = self.directory / f"{name}.png"
        try:
            if not coded:
                raise OSError("it could not be encoded")
            path.write_bytes(data.tobytes())
        except OSError as exc:
            path.unlink(missing_ok=True)
            raise _broken(path, self.written, exc) from exc
        self.written += 1


class StillSink(_Counting):
    """The picture of a single result, as PNG, JPEG or WebP by the name's ending.

    Raises OutputError if the name has another ending or the file cannot be written.
    """

    ENDINGS = (".png", ".jpg", ".jpeg", ".webp")

    def __init__(self, path: str | Path, *, info: SourceInfo, overwrite: bool = False) -> None:
        super().__init__()
        self.path = Path(path)
        if self.path.suffix.lower() not in self.ENDINGS:
            raise OutputError(f"{shown(path)}; expected a name ending in {', '.join(self.ENDINGS)}")
        if info.frames != 1:
            raise OutputError(
                f"{shown(path)} is a picture, which cannot hold a video; expected .mp4, .mov or "
                ".mkv, or a single image as the source"
            )
        check_output(self.path, source_path=info.path, overwrite=overwrite)
        self._file = OutputFile(self.path, overwrite=overwrite)

    def picture_for(self, frame: Frame) -> Picture:
        """A picture of the frame's size and kind to draw on."""
        return empty_like(frame.image)

    def write(self, result: Result) -> None:
        """Write the picture of a result. Raises SinkError."""
        from rtseg.kernels import cpu

        if result.picture is None:
            raise ValueError(f"frame {result.frame.index} has no picture to write")
        _, data = cv2.imencode(self.path.suffix, cpu.to_bgr(result.picture))
        try:
            self._file.write(data.tobytes())
        except OSError as exc:
            raise _broken(self.path, self.written, exc) from exc
        self.written += 1

    def close(self) -> None:
        self._file.close()


class JsonlSink(_Counting):
    """A line of JSON per frame, complete on disk as soon as it is written.

    index, pts, time_base ("1/12800"), seconds: of the frame. stages: milliseconds by stage.
    fractions: share of each class, 0–1. flags: "corrupt" if the decoder concealed damage,
    "invalid" if the network gave no usable answer.

    Raises OutputError if the file cannot be written.
    """

    def __init__(self, path: str | Path, *, overwrite: bool = False) -> None:
        super().__init__()
        self.path = Path(path)
        check_output(self.path, source_path=None, overwrite=overwrite)
        self._file = OutputFile(self.path, overwrite=overwrite)

    def write(self, result: Result) -> None:
        """Write the line of a result. Raises SinkError."""
        end = self._file.tell()
        try:
            self._file.write((json.dumps(_record(result)) + "\n").encode())
        except OSError as exc:
            self._file.truncate(end)
            raise _broken(self.path, self.written, exc) from exc
        self.written += 1

    def close(self) -> None:
        self._file.close()


def _record(result: Result) -> dict[str, Any]:
    frame, segmentation = result.frame, result.segmentation
    seconds = frame.seconds
    flags = {"corrupt": frame.corrupt, "invalid": not segmentation.valid}
    return {
        "index": frame.index,
        "pts": frame.pts,
        "time_base": f"{frame.time_base.numerator}/{frame.time_base.denominator}",
        "seconds": None if seconds is None else round(seconds, 6),
        "stages": {name: round(value, 3) for name, value in result.stages.items()},
        "fractions": {name: round(value, 5) for name, value in segmentation.fractions().items()},
        "flags": [name for name, is_set in flags.items() if is_set],
    }


def _broken(path: Path, written: int, exc: OSError) -> SinkError:
    reason = exc.strerror or str(exc)
    return SinkError(
        f"writing {shown(path)} failed after {written} frames: {reason}; what was written before "
        "is complete"
    )
