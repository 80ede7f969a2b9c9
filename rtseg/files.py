"""Files that are whole or not there."""

from __future__ import annotations

from pathlib import Path

from rtseg.errors import OutputError


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside the target, then rename: a kill leaves the old file. Raises OutputError."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as exc:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {exc.strerror or exc}") from exc
