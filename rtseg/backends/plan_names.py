"""The files of the cache: all are named by a SHA-256, so that no other file is taken for one."""

from __future__ import annotations

import re
from pathlib import Path

from rtseg.backends.private_folder import TEMPORARY, is_private
from rtseg.errors import InputError

PLAN, RECORD = ".plan", ".json"
"""A plan and the record beside it, named by the digest of their key."""

TIMING, LOCK = ".timing", ".lock"
"""The builder's timings and the lock on building, named by the digest of builder and device."""

LAYERS = ".layers.json"
"""What the inspector says of an engine whose precision could not be proved."""

REFUSED = ".refused"
"""What a check found against an engine, so that it is not built again and again."""

_DIGITS = 64
_ENDINGS = "|".join(map(re.escape, (PLAN, RECORD, TIMING, LOCK, LAYERS, REFUSED)))
_OWN = re.compile(rf"[0-9a-f]{{{_DIGITS}}}({_ENDINGS})(\..*{TEMPORARY})?")


def ending(path: Path) -> str:
    """What stands behind the digest in the name of one of `own_files`, such as `PLAN`."""
    return path.name[_DIGITS:]


def own_files(folder: Path) -> list[Path]:
    """The files in a folder that the cache wrote, sorted; empty if the folder is not there.

    Raises InputError if another user could have written to it, or it cannot be read.
    """
    if not is_private(folder):
        return []
    try:
        return sorted(path for path in folder.iterdir() if _OWN.fullmatch(path.name))
    except OSError as exc:
        raise InputError(f"cannot look into {folder}: {exc.strerror}") from exc
