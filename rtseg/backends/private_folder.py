"""A folder that only its owner writes to, and files in it that are whole or not there.

Loading a plan runs the code in it. So what lies in the cache must come from the user who reads it.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from rtseg.errors import InputError

VARIABLE = "RTSEG_PLANS"
"""The environment variable that names another folder for plans."""

TEMPORARY = ".tmp"
"""How names of files end that are being written."""


class UnsafeFolderError(InputError):
    """The folder for plans must not be used, or there is none."""


def plan_folder() -> Path:
    """Where plans are kept: $RTSEG_PLANS, else rtseg/plans in $XDG_CACHE_HOME or ~/.cache.

    Raises UnsafeFolderError if there is no home folder and no variable says where to look.
    """
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).absolute()
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if cache.is_absolute():  # a relative path is to be ignored, says the XDG specification
        return cache / "rtseg" / "plans"
    try:
        return Path.home() / ".cache" / "rtseg" / "plans"
    except RuntimeError as exc:
        raise UnsafeFolderError(f"no home folder to keep plans in ({exc}); set {VARIABLE}") from exc


def is_private(folder: Path) -> bool:
    """True if the folder is there and the user's alone; False if there is none to be seen.

    Raises UnsafeFolderError if another user owns it or may write to it.
    """
    try:
        found = folder.stat()
    except OSError:
        return False
    if not stat.S_ISDIR(found.st_mode):
        return False
    if found.st_uid != os.geteuid():
        raise UnsafeFolderError(
            f"the plans in {folder} belong to user {found.st_uid}, not to you ({os.geteuid()}), "
            f"and loading a plan runs its code; set {VARIABLE} to a folder of your own"
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UnsafeFolderError(
            f"others may write to {folder} (mode {stat.S_IMODE(found.st_mode):04o}), and loading a "
            f"plan runs its code; chmod 700 it if you trust what is in it, or set {VARIABLE}"
        )
    return True


def make_private(folder: Path) -> None:
    """Make the folder with mode 0700 if it is not there. Raises OSError, UnsafeFolderError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    is_private(folder)


def write_durably(path: Path, data: bytes) -> None:
    """Write under a temporary name, onto the disk, then rename. Raises OSError.

    A crash leaves the old file or the new one, and perhaps a temporary file.
    """
    handle, name = tempfile.mkstemp(TEMPORARY, path.name + ".", path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Put renames onto the disk. Not every file system can; the files themselves are there."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
