"""Every benchmark still runs, at tiny sizes; no time is asserted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.mark.parametrize("script", sorted(FOLDER.glob("bench_*.py")), ids=lambda p: p.stem)
def test_it_runs(script: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(script)], env=os.environ | {"RTSEG_BENCH_TINY": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "median" in done.stdout or "fps" in done.stdout
