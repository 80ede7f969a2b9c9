"""A lock between processes, on a file that stays."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold(path: Path, waiting: Callable[[], None] | None) -> Iterator[None]:
    """Hold the lock on `path`, which is made if it is not there and stays there.

    waiting: called once if another holds the lock, which is then waited for; with None nobody is
    waited for and BlockingIOError is raised. Raises OSError. The system frees the lock of a
    process that dies.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is None:
                raise
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)  # for forked children as well, which share it
    finally:
        os.close(handle)
