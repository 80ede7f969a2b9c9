"""The tests that need a GPU, run by pytest with RTSEG_REQUIRE_GPU=1, and what came of each.

Only files that hold such tests are collected. A test or a file that fails because a package is not
installed counts as left out, by the package's name: on a GPU machine not everything is.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

ROOT = Path(__file__).parent.parent
NEEDED = ("pytest", "pytest_timeout", "hypothesis")
"""Modules without which no test runs; their packages have a hyphen."""

Outcome = Literal["passed", "failed", "skipped", "left out"]

_ABSENT = re.compile(r"No module named '(\w+)[\w.]*'|\b(\w[\w-]*) is not installed")
_MARK = re.compile(r"pytest\.mark\.gpu\b")


class Case(NamedTuple):
    """One test. why: the reason, in a line, of one that did not pass."""

    name: str
    outcome: Outcome
    why: str


def run(root: Path = ROOT, arguments: Sequence[str] = ()) -> dict[str, Any]:
    """Counts, and every test that did not pass with its reason.

    arguments: for pytest, besides the files. Raises ModuleNotFoundError if pytest or a plugin that
    the tests need is not there, RuntimeError if pytest did not get to the tests.
    """
    for module in NEEDED:
        if find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module.replace("_", "-"))
    files = marked(root / "tests")
    with tempfile.TemporaryDirectory(prefix="rtseg-gpu-") as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider",
            "--continue-on-collection-errors", f"--junitxml={report}", *arguments,
            *(str(f) for f in files),
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=root, env=environment(), capture_output=True, text=True, check=False
        )
        if not report.is_file():
            raise RuntimeError(f"pytest ended with {done.returncode}: {_end(done)}")
        return summary(list(cases(report.read_text())))


def environment() -> dict[str, str]:
    """That of this process, with a GPU required and no simulator in its place."""
    dropped = ("NUMBA_ENABLE_CUDASIM", "PYTEST_ADDOPTS", "RTSEG_BENCH_TINY")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | {"RTSEG_REQUIRE_GPU": "1"}


def marked(folder: Path) -> list[Path]:
    """Files that hold tests for a GPU."""
    return [f for f in sorted(folder.rglob("test_*.py")) if _MARK.search(f.read_text())]


def cases(xml: str) -> Iterator[Case]:
    """The tests in a JUnit report of pytest's."""
    for case in ET.fromstring(xml).iter("testcase"):
        name = "::".join(filter(None, (case.get("classname"), case.get("name"))))
        yield _case(name, case)


def _case(name: str, case: ET.Element) -> Case:
    skipped = case.find("skipped")
    if skipped is not None:
        return Case(name, "skipped", _reason(skipped))
    for trouble in (*case.iter("failure"), *case.iter("error")):
        package = absent_package("\n".join([trouble.get("message") or "", *_errors(trouble)]))
        if package:
            return Case(name, "left out", f"{package} is not installed")
        return Case(name, "failed", _reason(trouble))
    return Case(name, "passed", "")


def _reason(trouble: ET.Element) -> str:
    """The message, or the line of the error in what pytest shows, in one line."""
    lines, message = _errors(trouble), trouble.get("message") or ""
    shown = lines[0] if lines and message in ("", "collection failure") else message
    return " ".join(shown.split())[:500] or "no reason given"


def _errors(trouble: ET.Element) -> list[str]:
    """The lines of a report that pytest marks as those of the error."""
    return [ln[1:].strip() for ln in (trouble.text or "").splitlines() if ln.startswith("E ")]


def absent_package(text: str) -> str | None:
    """The package whose absence an error is about, if it is one and really is not there."""
    for found in _ABSENT.finditer(text):
        name: str = found[1] or found[2]
        if name != "rtseg" and find_spec(name.replace("-", "_")) is None:
            return name
    return None


def summary(found: Sequence[Case]) -> dict[str, Any]:
    """The document's part on tests."""
    counts = Counter(case.outcome for case in found)
    return {
        "counts": {name.replace(" ", "_"): counts[name] for name in get_args(Outcome)},
        "not_passed": [
            {"test": c.name, "outcome": c.outcome, "why": c.why}
            for c in found
            if c.outcome != "passed"
        ],
    }


def _end(done: subprocess.CompletedProcess[str]) -> str:
    lines = [ln for ln in (done.stdout + done.stderr).splitlines() if ln.strip()]
    return " / ".join(lines[-3:])[:500]
