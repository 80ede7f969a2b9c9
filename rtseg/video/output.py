"""What all sinks share: outputs that are checked before anything is touched, then opened."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from rtseg.closing import Closing
from rtseg.errors import OutputError
from rtseg.video.base import shown


def check_output(path: Path, *, inputs: Sequence[Path] = (), overwrite: bool | None) -> None:
    """Raise OutputError unless `path` can and may be written. Nothing is touched.

    inputs: files that are never written, whatever link leads to them.
    overwrite: whether a file that exists may be replaced; None if that is asked elsewhere.
    """
    try:
        if path.is_dir():
            raise OutputError(f"{shown(path)} is a folder; expected the name of a file to write")
        folder = Path(os.path.realpath(path)).parent  # of what a link leads to
        if not folder.is_dir():
            raise OutputError(f"the folder {shown(folder)} does not exist; create it first")
        if path.exists():
            refuse_inputs((path,), inputs)
            _check_existing(path, overwrite)
        elif not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"nothing can be written to {shown(folder)}; check its permissions")
    except OSError as exc:
        raise OutputError(f"{shown(path)} cannot be written: {exc.strerror}") from exc


def refuse_inputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise OutputError if one of `outputs` is the same file as one of `inputs`.

    Each path is looked up once, so that there may be thousands.
    """
    taken = {_identity(path) for path in inputs} - {None}
    for path in outputs if taken else ():
        if _identity(path) in taken:
            raise OutputError(
                f"the output {shown(path)} is the input itself, which would be destroyed; give "
                "another name"
            )


def _identity(path: Path) -> tuple[int, int] | None:
    """What is the same for all names of a file; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _check_existing(path: Path, overwrite: bool | None) -> None:
    if not path.is_file():
        raise OutputError(f"{shown(path)} is no regular file; expected the name of a file to write")
    if overwrite is False:
        raise OutputError(
            f"{shown(path)} exists already; give another name, or allow it to be replaced "
            "(--overwrite)"
        )
    if not os.access(path, os.W_OK):
        raise OutputError(f"{shown(path)} may not be written; check its permissions")


class OutputFile:
    """An unbuffered file for PyAV to write to.

    What was written is with the system, so it outlives this process. After the first error
    nothing more is written: a muxer that goes on, or finishes the file on half of it, would
    destroy the part that can be played.
    """

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        """Raises OutputError if the file cannot be opened, or exists and may not be replaced."""
        self.name = str(path)
        self.error: OSError | None = None
        self.closed = False  # PyAV finishes a container only if this is false
        # Where a link leads to: a new file may be made at the end of one, and links stay.
        self._target = Path(os.path.realpath(path))
        try:
            self._file = self._target.open("wb" if overwrite else "xb", buffering=0)
        except FileExistsError as exc:
            raise OutputError(f"{shown(path)} exists already; give another name") from exc
        except OSError as exc:
            raise OutputError(f"{shown(path)} cannot be written: {exc.strerror}") from exc

    def write(self, data: bytes) -> int:
        if self.error is not None:
            raise self.error
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as exc:
            self.error = exc
            raise
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def truncate(self, size: int) -> None:
        """Cut off what an interrupted write left behind."""
        with suppress(OSError):
            self._file.truncate(size)

    def discard(self) -> None:
        """Close and remove the file; a link that leads to it is kept."""
        self.close()
        with suppress(OSError):
            self._target.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; what is written to it later is ignored by PyAV."""
        self.closed = True
        try:
            self._file.close()
        except OSError as exc:
            self.error = self.error or exc


class BaseSink(Closing, ABC):
    """A sink whose constructor only checks.

    Its output is created by the first `write`: a run without a frame leaves what was there.
    """

    def __init__(self) -> None:
        self.written = 0
        self.notes: list[str] = []
        self._is_open = self._is_closed = False

    @abstractmethod
    def _open(self) -> None:
        """Create the output. Raises OutputError."""

    @abstractmethod
    def _finish(self) -> None:
        """Close the output that was created. Raises SinkError."""

    def _ensure_open(self) -> None:
        if self._is_closed:
            raise ValueError("the sink is closed; nothing can be written any more")
        if not self._is_open:
            self._open()
            self._is_open = True

    def close(self) -> None:
        """Finish the output; a second call does nothing. Raises SinkError."""
        if not self._is_closed:
            self._is_closed = True
            if self._is_open:
                self._finish()
