"""`benchmarks/compare.py`: two revisions in turns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TINY = (
    "--", "synthetic:64x64@30", "--model", "dilanet-s", "--size", "64x48", "--precision", "f32",
    "--warm-up", "1", "--frames", "3", "--no-overlay", "--scenario", "offline",
)  # fmt: skip


def compare(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "compare.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_working_tree_against_itself(tmp_path) -> None:
    done = compare(".", ".", "--rounds", "2", "--out", str(tmp_path / "out"), *TINY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("round ") == 4
    assert "b / a" in done.stdout
    for name in ("a", "b"):
        found = json.loads((tmp_path / "out" / f"{name}.json").read_text())
        assert len(found["scenarios"]["offline"]["rounds"]) == 2 == found["settings"]["rounds"]


def test_a_revision_is_checked_out_and_removed_again() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout: there are no revisions")
    done = compare("HEAD", ".", "--rounds", "2", *TINY)
    assert done.returncode == 0, done.stderr
    assert "a is HEAD, b is ." in done.stdout
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "worktree", "list"], capture_output=True, text=True, check=True
    )
    assert "rtseg-compare-" not in listed.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((".", ".", "--rounds", "1"), 2, "--rounds 1; expected 2 or more"),
        ((".", ".", "--", "--json", "x"), 2, "--json cannot be passed on"),
        (("no-such-revision", "."), 1, "no-such-revision"),
    ],
)
def test_what_cannot_be_compared(arguments, code, says) -> None:
    done = compare(*arguments)
    assert done.returncode == code
    assert says in done.stderr
