"""Memory of a long run: nothing is allocated per frame once it goes, and the process stays flat."""

from __future__ import annotations

import os
import sys
import tracemalloc
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "video"))
from clips import flat, write_clip

from rtseg.overlay import Overlay
from rtseg.pipeline import Pipeline, painter
from rtseg.segmentation import Result
from rtseg.segmenter import Segmenter
from rtseg.video.sinks import NullSink, VideoSink
from rtseg.video.sources import open_source

WIDTH, HEIGHT, FRAMES, STEADY = 960, 540, 500, 100
LABELS = WIDTH * HEIGHT
"""Bytes of the smallest thing there is one of for each frame."""


class Watch:
    """Called after each frame. grown: the most that Python and numpy had allocated in the steady
    state beyond what they had when it began, in bytes."""

    def __init__(self) -> None:
        self.frames, self.base, self.grown = 0, 0, 0

    def __call__(self, _: Result) -> None:
        self.frames += 1
        if self.frames == STEADY // 2:  # what is used again is allocated before `STEADY`, or never
            tracemalloc.start()
        elif self.frames == STEADY:
            self.base = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
        elif self.frames > STEADY:
            self.grown = tracemalloc.get_traced_memory()[1] - self.base


@pytest.fixture
def traced():
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
def test_nothing_is_allocated_for_a_frame_in_the_steady_state(tmp_path) -> None:
    """400 frames through decoder, network, overlay and encoder: no label map, picture or plane is
    new. What is, are the times of each frame and small objects: less than half a map.

    The status line stays the same: each new text is drawn once and kept in a bounded cache."""
    frames = (flat(i, WIDTH, HEIGHT) for i in range(FRAMES))
    clip = write_clip(tmp_path / "in.mp4", frames, options={"preset": "ultrafast"})
    watch, out = Watch(), tmp_path / "out.mp4"
    with (
        Segmenter("dilanet-s", size=(64, 48), streams=2, precision="f32") as segmenter,
        open_source(clip) as source,
        VideoSink(out, info=source.info) as sink,
    ):
        paint = painter(Overlay(segmenter.model.classes), sink.picture_for, lambda _: "steady")
        Pipeline(source, segmenter, [sink], painter=paint).run(watch)
    assert watch.frames == FRAMES
    assert 0 < watch.grown < LABELS / 2


def test_an_allocation_per_frame_would_be_seen(tmp_path) -> None:
    """The same watch on a run that makes one array a frame, and drops it at once."""
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        bytearray(LABELS)
        assert tracemalloc.get_traced_memory()[1] > LABELS / 2
    finally:
        tracemalloc.stop()


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
