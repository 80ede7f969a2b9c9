"""The pipeline: frames in order and none lost, errors and stops that end the run."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import pytest
from pipeline_parts import Frames, Log

from rtseg.errors import DecodeError, SinkError
from rtseg.frame import Frame
from rtseg.pipeline import Pipeline
from rtseg.segmentation import Result
from rtseg.segmenter import Segmenter
from rtseg.video.sinks import NullSink, VideoSink


@pytest.fixture(scope="module")
def segmenter(model):
    with Segmenter(model, size=(64, 48), streams=3) as made:
        made.engine(64, 48)  # compiled now: some tests look at the clock
        yield made


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    names = [t.name for t in threading.enumerate() if t.name.startswith("rtseg-")]
    assert not names


def test_every_frame_arrives_once_and_in_order(segmenter) -> None:
    log = Log()
    summary = Pipeline(Frames(60), segmenter, [log]).run()
    assert log.indices == list(range(60))
    assert (summary.frames_in, summary.written, summary.dropped, summary.failed) == (60, 60, 0, 0)
    assert not summary.stopped
    assert summary.fps > 0
    assert set(summary.stages) >= {"decode", "preprocess", "inference", "postprocess", "write"}


def test_order_holds_when_workers_finish_out_of_order(segmenter) -> None:
    def paint(frame: Frame, _segmentation: object) -> np.ndarray:
        time.sleep(0.02 if frame.index % 3 == 0 else 0)
        return np.full_like(frame.image, frame.index)

    class Pictures(Log):
        def write(self, result: Result) -> None:
            assert (result.picture == result.frame.index).all()
            super().write(result)

    log = Pictures()
    Pipeline(Frames(30), segmenter, [log], painter=paint).run()
    assert log.indices == list(range(30))


def test_labels_are_those_of_their_frame(model) -> None:
    """Buffers are used again: each result must still be its own frame's when it is written."""
    with Segmenter(model, size=(64, 48)) as single:
        images = [
            np.random.default_rng(i).integers(0, 255, (48, 64, 3), np.uint8) for i in range(4)
        ]
        expected = [single(image).labels.copy() for image in images]

    class Mixed(Frames):
        def _frame(self, index: int, raw: int) -> Frame:
            return Frame(images[index % 4], index, raw, Fraction(1, 30))

    class Check(NullSink):
        def write(self, result: Result) -> None:
            want = expected[result.frame.index % 4]
            assert (result.segmentation.labels == want).mean() > 0.999

    with Segmenter(model, size=(64, 48), streams=3) as many:
        assert Pipeline(Mixed(40), many, [Check()]).run().written == 40


def test_frames_under_way_are_bounded(segmenter) -> None:
    source = Frames(None)
    given = 0
    original = source._frame

    def count(index: int, raw: int) -> Frame:
        nonlocal given
        given += 1
        return original(index, raw)

    source._frame = count  # type: ignore[method-assign]
    pipeline = Pipeline(source, segmenter, [Log(delay=0.02)], depth=4)
    written = 0

    def on_frame(_result: Result) -> None:
        nonlocal written
        written += 1
        assert given - written <= 4
        if written == 20:
            pipeline.stop()

    summary = pipeline.run(on_frame)
    assert 20 <= summary.written <= 24  # those under way are finished
    assert summary.stopped
    assert summary.frames_in == summary.written + summary.dropped


def test_fewer_streams_of_the_engine_bound_them_too(model) -> None:
    """As on a GPU, which is known only once the engine is built."""

    class Few(Segmenter):
        def engine(self, width: int, height: int, **options: object) -> object:
            self.streams = 1
            return super().engine(width, height, **options)

    given = written = 0

    class Counted(Frames):
        def _frame(self, index: int, raw: int) -> Frame:
            nonlocal given
            given += 1
            return super()._frame(index, raw)

    def on_frame(_result: Result) -> None:
        nonlocal written
        written += 1
        assert given - written <= 4

    with Few(model, size=(64, 48), streams=8) as few:
        Pipeline(Counted(30), few, [Log(delay=0.005)]).run(on_frame)
    assert written == 30


def test_a_decoding_error_comes_after_the_frames_before_it(segmenter) -> None:
    log = Log()
    with pytest.raises(DecodeError, match="broke"):
        Pipeline(Frames(7, DecodeError("broke")), segmenter, [log]).run()
    assert log.indices == list(range(7))


def test_a_sink_error_ends_the_run_quickly(segmenter) -> None:
    log = Log(fail_at=5)
    start = time.monotonic()
    with pytest.raises(SinkError, match="disk is full"):
        Pipeline(Frames(None), segmenter, [log]).run()
    assert time.monotonic() - start < 2
    assert log.indices == list(range(5))


def test_an_error_in_a_worker_ends_the_run_quickly(segmenter) -> None:
    def paint(frame: Frame, _segmentation: object) -> np.ndarray:
        if frame.index == 9:
            raise ZeroDivisionError("in the painter")
        return frame.image  # type: ignore[return-value]

    log = Log()
    start = time.monotonic()
    with pytest.raises(ZeroDivisionError, match="in the painter"):
        Pipeline(Frames(None), segmenter, [log], painter=paint).run()
    assert time.monotonic() - start < 2
    assert log.indices == list(range(9))


def test_an_error_leaves_a_playable_file(segmenter, tmp_path) -> None:
    source = Frames(None)

    def paint(frame: Frame, _segmentation: object) -> np.ndarray:
        if frame.index == 9:
            raise ZeroDivisionError("in the painter")
        return frame.image  # type: ignore[return-value]

    with (
        pytest.raises(ZeroDivisionError),
        VideoSink(tmp_path / "out.mp4", info=source.info) as sink,
    ):
        Pipeline(source, segmenter, [sink], painter=paint).run()
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 9


def test_stop_ends_an_endless_source(segmenter) -> None:
    for delay in (0.3, 0.01, 0.02, 0.03, 0.04):
        pipeline = Pipeline(Frames(None), segmenter, [NullSink()])
        timer = threading.Timer(delay, pipeline.stop)
        timer.start()
        summary = pipeline.run()
        timer.join()
        assert summary.stopped
        assert summary.frames_in == summary.written + summary.dropped


def test_stop_does_not_wait_for_a_slow_source(segmenter) -> None:
    class Slow(Frames):
        def _raw(self) -> Iterator[int]:
            for index in itertools.count():
                if index > 3:
                    self._interrupted.wait(30)
                yield index

    pipeline = Pipeline(Slow(None), segmenter, [NullSink()])
    timer = threading.Timer(0.3, pipeline.stop)
    timer.start()
    start = time.monotonic()
    summary = pipeline.run()
    assert time.monotonic() - start < 3
    assert summary.written >= 4
    timer.join()


def test_sinks_are_closed_within_the_run(segmenter) -> None:
    class Slow(NullSink):
        def close(self) -> None:
            time.sleep(0.2)

    assert Pipeline(Frames(3), segmenter, [Slow()]).run().seconds > 0.2


def test_buffers_are_used_again(segmenter) -> None:
    seen: set[int] = set()

    class Addresses(NullSink):
        def write(self, result: Result) -> None:
            seen.add(result.segmentation.labels.ctypes.data)

    Pipeline(Frames(100), segmenter, [Addresses()]).run()
    assert len(seen) <= 2 * segmenter.streams + 2


def test_rate_and_bound_are_consistent(segmenter) -> None:
    summary = Pipeline(Frames(50), segmenter, [NullSink()]).run()
    assert summary.fps == pytest.approx(50 / summary.seconds)
    assert summary.bound == pytest.approx(summary.cores * 50 / summary.cpu_seconds)
