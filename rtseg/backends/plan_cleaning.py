"""Removing kept plans."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from rtseg.backends.build_lock import hold
from rtseg.backends.plan_names import LAYERS, LOCK, PLAN, RECORD, REFUSED, ending, own_files
from rtseg.backends.plan_record import read_entry
from rtseg.backends.private_folder import TEMPORARY
from rtseg.errors import InputError, OutputError


def clean(folder: Path, *, everything: bool) -> list[Path]:
    """Remove what can never be loaded, or everything but locks; the paths of the files removed.

    Raises InputError while a build is going on or if another user could have written to the folder,
    OutputError if a file cannot be removed.
    """
    files = own_files(folder)
    with ExitStack() as stack:
        for path in files:
            if path.suffix == LOCK:
                _lock(stack, path)
        dead = [path for path in files if path.suffix != LOCK and (everything or _is_dead(path))]
        _remove(dead)
    return dead


def _is_dead(path: Path) -> bool:
    """Whether a file of the cache is of no more use."""
    if ending(path) in (PLAN, RECORD):
        return not read_entry(path.with_suffix(PLAN)).usable
    return ending(path) in (LAYERS, REFUSED) or path.suffix == TEMPORARY


def _lock(stack: ExitStack, path: Path) -> None:
    """Keep others from building until the stack ends: their temporary files are in use."""
    try:
        stack.enter_context(hold(path, None))
    except BlockingIOError as exc:
        raise InputError(f"a build is going on in {path.parent}; clean when it is over") from exc
    except OSError as exc:
        raise OutputError(f"cannot lock {path}: {exc.strerror}") from exc


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            raise OutputError(f"cannot remove {path}: {exc.strerror}") from exc
