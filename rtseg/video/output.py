"""The file a sink writes: checked before anything is touched, and honest about errors."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from rtseg.errors import OutputError
from rtseg.video.base import shown


def check_output(path: Path, *, source_path: Path | None, overwrite: bool | None) -> None:
    """Raise OutputError unless `path` can and may be written.

    source_path: the input, which is never written, whatever link leads to it.
    overwrite: whether a file that exists may be replaced; None if that is asked elsewhere.
    """
    try:
        if path.is_dir():
            raise OutputError(f"{shown(path)} is a folder; expected the name of a file to write")
        if not path.parent.is_dir():
            raise OutputError(f"the folder {shown(path.parent)} does not exist; create it first")
        if path.exists():
            _check_existing(path, source_path, overwrite)
        elif not os.access(path.parent, os.W_OK | os.X_OK):
            raise OutputError(
                f"nothing can be written to {shown(path.parent)}; check its permissions"
            )
    except OSError as exc:
        raise OutputError(f"{shown(path)} cannot be written: {exc.strerror}") from exc


def _check_existing(path: Path, source_path: Path | None, overwrite: bool | None) -> None:
    if source_path is not None and source_path.exists() and path.samefile(source_path):
        raise OutputError(
            f"the output {shown(path)} is the input itself, which would be destroyed; give "
            "another name"
        )
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
        try:
            self._file = path.open("wb" if overwrite else "xb", buffering=0)
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

    def close(self) -> None:
        """Close the file; what is written to it later is ignored by PyAV."""
        self.closed = True
        try:
            self._file.close()
        except OSError as exc:
            self.error = self.error or exc
