"""What a frame allocates, by tracemalloc. `test_memory.py` runs this in a process of its own:
Python 3.11 can hang or crash where tracing starts beside threads that other tests have left."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "video"))
from clips import flat, write_clip

from rtseg.overlay import Overlay
from rtseg.pipeline import painter
from rtseg.segmentation import Result
from rtseg.segmenter import Segmenter
from rtseg.video.sinks import VideoSink
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
