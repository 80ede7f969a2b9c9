"""Running the command line in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from drive import write_drive

from rtseg.cli import main


class Done(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def rtseg(monkeypatch, capsys, tmp_path) -> Callable[..., Done]:
    """`rtseg("run", …)` in an empty folder: exit code and what was printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def call(*args: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["rtseg", *map(str, args)])
        try:
            main()
            code = 0
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        return Done(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Path:
    """A short drive with frames at uneven times."""
    return write_drive(tmp_path_factory.mktemp("clips") / "drive.mp4")
