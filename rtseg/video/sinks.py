"""What takes results: class maps as PNG, a line of JSON per frame, nothing. Video: `writer`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np

from rtseg.errors import OutputError, SinkError
from rtseg.frame import Frame, Picture, empty_like
from rtseg.segmentation import Result
from rtseg.video.base import SourceInfo, shown
from rtseg.video.output import BaseSink, OutputFile, check_output, refuse_inputs
from rtseg.video.writer import VideoSink

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["JsonlSink", "MaskSink", "NullSink", "Sink", "StillSink", "VideoSink"]

# Level 1 of 9, one filter for all rows: 2.3 ms for a 720p class map of 29 KB, where OpenCV's own
# choice takes 6.5 ms for the same size. Before 4.12 it had no choice of filters.
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
if hasattr(cv2, "IMWRITE_PNG_FILTER"):
    _PNG += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]

_NUMBERED = re.compile(r"\d{6,}\.png", re.IGNORECASE)
_NO_VIDEO = (
    "is a picture, which cannot hold a video; expected .mp4, .mov or .mkv, or a single image as "
    "the source"
)


class Sink(AbstractContextManager["Sink", None], Protocol):
    """Takes results in order of their frames; a context manager opens and closes it.

    A constructor only checks; files and folders are created by `with`, or by the first `write`.

    written: how many results were taken. `write` raises SinkError where the output breaks.
    notes: sentences for the user about what was decided, complete once the sink is closed.
    """

    written: int
    notes: list[str]

    def write(self, result: Result) -> None: ...
    def close(self) -> None: ...


class NullSink(BaseSink):
    """Counts results and drops them: for measuring."""

    def _open(self) -> None:
        pass

    def write(self, result: Result) -> None:  # noqa: ARG002 - the protocol names it
        self.written += 1

    def _finish(self) -> None:
        pass


class MaskSink(BaseSink):
    """Class ids of each frame as an 8-bit greyscale PNG, `000012.png` for frame 12.

    directory: made if it does not exist. One that is not empty is refused unless `overwrite`,
        which replaces files of the same name and keeps the rest.
    names: of the files instead, without extension, by the index of the frame, as in
        `Source.names`.
    inputs: files of which none may have the name of a mask, such as `SourceInfo.inputs`.

    Raises OutputError if the folder cannot be used, or an input would be overwritten.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        names: Sequence[str] | None = None,
        inputs: Sequence[Path] = (),
        overwrite: bool = False,
    ) -> None:
        super().__init__()
        self.directory = Path(directory)
        self._names = names
        try:
            refuse_inputs(self._masks_there(), inputs)
            occupied = self.directory.exists() and any(self.directory.iterdir())
        except OSError as exc:
            raise self._unusable(exc.strerror) from exc
        if occupied and not overwrite:
            raise OutputError(
                f"the folder {shown(directory)} is not empty; give another one, or allow its "
                "files to be replaced (--overwrite)"
            )
        self._check_permissions()

    def _masks_there(self) -> Iterator[Path]:
        """What may stand in the folder under the name of a mask."""
        if self._names is not None:
            return (self.directory / f"{name}.png" for name in self._names)
        if not self.directory.exists():
            return iter(())
        return (path for path in self.directory.iterdir() if _NUMBERED.fullmatch(path.name))

    def _check_permissions(self) -> None:
        """That files can be made in the folder, or the folder in what there is on the way to it."""
        there = self.directory.absolute()
        while not there.exists():
            there = there.parent
        if not there.is_dir():
            raise self._unusable(f"{shown(there)} is no folder")
        if not os.access(there, os.W_OK | os.X_OK):
            raise self._unusable(f"nothing can be written to {shown(there)}")

    def _unusable(self, reason: str | None) -> OutputError:
        return OutputError(f"the folder {shown(self.directory)} cannot be used: {reason}")

    def _open(self) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise self._unusable(exc.strerror) from exc

    def write(self, result: Result) -> None:
        """Write the class map of a result. Raises SinkError."""
        self._ensure_open()
        index = result.frame.index
        name = self._names[index] if self._names is not None else f"{index:06d}"
        path = self.directory / f"{name}.png"
        try:
            path.write_bytes(_coded(".png", result.segmentation.labels, _PNG))
        except OSError as exc:
            path.unlink(missing_ok=True)
            raise _broken(path, self.written, exc) from exc
        self.written += 1

    def _finish(self) -> None:
        pass


class _FileSink(BaseSink):
    """A sink of one file."""

    def __init__(self, path: Path, inputs: Sequence[Path], *, overwrite: bool) -> None:
        super().__init__()
        self.path = path
        check_output(path, inputs=inputs, overwrite=overwrite)
        self._overwrite = overwrite

    def _open(self) -> None:
        self._file = OutputFile(self.path, overwrite=self._overwrite)

    def _finish(self) -> None:
        self._file.close()


class StillSink(_FileSink):
    """The picture of a single result, as PNG, JPEG or WebP by the name's ending.

    There is no file if no result was written.

    Raises OutputError if the name has another ending, the file cannot be written or is an input
    of `info`.
    """

    ENDINGS = (".png", ".jpg", ".jpeg", ".webp")

    def __init__(self, path: str | Path, *, info: SourceInfo, overwrite: bool = False) -> None:
        path = Path(path)
        if path.suffix.lower() not in self.ENDINGS:
            raise OutputError(f"{shown(path)}; expected a name ending in {', '.join(self.ENDINGS)}")
        if info.frames != 1:
            raise OutputError(f"{shown(path)} {_NO_VIDEO}")
        super().__init__(path, info.inputs, overwrite=overwrite)

    def picture_for(self, frame: Frame) -> Picture:
        """A picture of the frame's size and colours to draw on."""
        return empty_like(frame.image)

    def write(self, result: Result) -> None:
        """Write the picture of a result. Raises SinkError, also if there was one already."""
        from rtseg.device.transfer import to_host
        from rtseg.kernels import cpu

        if result.picture is None:
            raise ValueError(f"frame {result.frame.index} has no picture to write")
        if self.written:  # what was expected of the source was an estimate
            raise SinkError(f"{shown(self.path)} is written; it {_NO_VIDEO}")
        self._ensure_open()
        try:
            self._file.write(_coded(self.path.suffix, cpu.to_bgr(to_host(result.picture))))
        except OSError as exc:
            raise _broken(self.path, self.written, exc) from exc
        self.written += 1

    def _finish(self) -> None:
        if self.written:
            self._file.close()
        else:
            self._file.discard()


class JsonlSink(_FileSink):
    """A line of JSON per frame, complete on disk as soon as it is written.

    index, pts, time_base ("1/12800"), seconds: of the frame. stages: milliseconds by stage.
    fractions: share of each class, 0–1. flags: "corrupt" if the decoder concealed damage,
    "invalid" if the network gave no usable answer.

    Raises OutputError if the file cannot be written or is one of `inputs`.
    """

    def __init__(
        self, path: str | Path, *, inputs: Sequence[Path] = (), overwrite: bool = False
    ) -> None:
        super().__init__(Path(path), inputs, overwrite=overwrite)

    def write(self, result: Result) -> None:
        """Write the line of a result. Raises SinkError."""
        self._ensure_open()
        end = self._file.tell()
        try:
            self._file.write((json.dumps(_record(result)) + "\n").encode())
        except OSError as exc:
            self._file.truncate(end)
            raise _broken(self.path, self.written, exc) from exc
        self.written += 1


def _coded(suffix: str, image: NDArray[np.uint8], options: Sequence[int] = ()) -> bytes:
    """An image file. Raises OSError if the image cannot be coded, such as one too large."""
    try:
        coded, data = cv2.imencode(suffix, image, options)
    except cv2.error as exc:
        raise OSError(f"it could not be encoded ({exc.err})") from exc
    if not coded:
        raise OSError("it could not be encoded")
    return data.tobytes()


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
