"""Memory of a long run: nothing is allocated per frame once it goes, and the process stays flat."""

from __future__ import annotations

import os
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "video"))
from clips import flat, write_clip

from rtseg.overlay import Overlay
from rtseg.pipeline import Pipeline, painter
from rtseg.segmentation import Result
from rtseg.segmenter import Segmenter
from rtseg.video.sinks import NullSink, VideoSink
from rtseg.video.sources import open_source

WIDTH, HEIGHT, FRAMES, STEADY = 1280, 720, 500, 100
CHROMA = WIDTH * HEIGHT // 4
"""Bytes of the smallest array there is one of for each frame."""


@pytest.fixture
def tracing():
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("tracing")
def test_nothing_is_allocated_for_a_frame_in_the_steady_state(tmp_path) -> None:
    """500 frames through decoder, network, overlay and encoder, one after the other: once all
    buffers are there, no label map, picture or plane is new. What is, are small objects."""
    frames = (flat(i, WIDTH, HEIGHT) for i in range(FRAMES))
    clip = write_clip(tmp_path / "in.mp4", frames, options={"preset": "ultrafast"})
    labels, written, base = np.empty((HEIGHT, WIDTH), np.uint8), 0, 0
    with (
        Segmenter("dilanet-s", size=(64, 48), precision="f32") as segmenter,
        open_source(clip) as source,
        VideoSink(tmp_path / "out.mp4", info=source.info) as sink,
    ):
        paint = painter(Overlay(segmenter.model.classes), sink.picture_for, lambda _: "steady")
        worker = segmenter.worker(WIDTH, HEIGHT)
        for frame in source:
            segmentation, picture = worker.render(frame, paint, labels)
            sink.write(Result(frame, segmentation, picture, segmentation.timings))
            written += 1
            if written == STEADY:
                base = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
        grown = tracemalloc.get_traced_memory()[1] - base
    assert written == FRAMES
    assert 0 < grown < CHROMA


@pytest.mark.usefixtures("tracing")
def test_an_allocation_per_frame_would_be_seen() -> None:
    """An array that is made and dropped at once counts too."""
    base = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    np.empty(CHROMA, np.uint8)
    assert tracemalloc.get_traced_memory()[1] - base >= CHROMA


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
