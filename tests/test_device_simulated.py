"""Frames on the device, on numba's simulator, which must be switched on before numba is imported:
the files in `simulated/` run in a process of their own each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FILES = ("graphs.py", "pictures.py", "pipelines.py", "workers.py")
FOLDER = Path(__file__).parent / "simulated"


@pytest.mark.parametrize("name", FILES)
def test_on_the_simulator(name) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(FOLDER / name)],
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTEST_ADDOPTS": ""},
        cwd=FOLDER.parents[1], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


def test_no_file_is_forgotten() -> None:
    assert {path.name for path in FOLDER.glob("*.py")} == {*FILES, "stand_in.py"}
