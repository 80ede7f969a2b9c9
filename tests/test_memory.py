"""Memory of a long run: nothing is allocated per frame once it goes, and the process stays flat."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtseg.overlay import Overlay
from rtseg.pipeline import Pipeline, painter
from rtseg.segmentation import Result
from rtseg.segmenter import Segmenter
from rtseg.video.sinks import NullSink
from rtseg.video.sources import open_source

TRACED = Path(__file__).parent / "traced" / "allocations.py"


def test_a_frame_allocates_no_array_in_the_steady_state() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TRACED)]
    done = subprocess.run(
        command, env={**os.environ, "PYTEST_ADDOPTS": ""}, cwd=TRACED.parents[2],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_resident_memory_stays_flat() -> None:
    """20,000 frames; the median of each tenth after the first differs by less than 8 MiB."""
    count = int(os.environ.get("RTSEG_SOAK_FRAMES", "20000"))
    resident: list[int] = []

    def note(_: Result) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        resident.append(pages * os.sysconf("SC_PAGE_SIZE"))

    spec = f"synthetic:320x240@30?frames={count}"
    with Segmenter("dilanet-s", streams=2) as segmenter, open_source(spec) as source:
        overlay = Overlay(segmenter.model.classes)
        paint = painter(overlay, lambda frame: frame.image.copy())
        summary = Pipeline(source, segmenter, [NullSink()], painter=paint).run(note)
    assert summary.written == count
    tenths = [sorted(resident[i : i + count // 10])[count // 20] for i in _starts(count)]
    print(f"\n{summary.fps:.0f} fps; MiB resident:", *(f"{b / 2**20:.1f}" for b in tenths))
    assert max(tenths[1:]) - min(tenths[1:]) < 8 * 2**20


def _starts(count: int) -> range:
    return range(0, count - count // 10 + 1, count // 10)
