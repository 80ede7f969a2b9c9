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

from rtseg.errors import DecodeError, EngineError, SinkError
from rtseg.frame import Frame
from rtseg.pipeline import Pipeline
from rtseg.segmentation import Result
from rtseg.segmenter import Segmenter
from rtseg.video.base import BaseSource, Limits, SourceInfo
from rtseg.video.sinks import NullSink, VideoSink


class Frames(BaseSource[int]):
    """Grey frames with their index in the first pixel; raises `error` after `count` of them."""

    def __init__(self, count: int | None, error: Exception | None = None) -> None:
        super().__init__(Limits())
        self.info = SourceInfo("frames", "video", 64, 48, Fraction(30), count)
        self._count, self._error = count, error

    def _raw(self) -> Iterator[int]:
        yield from itertools.count() if self._count is None else range(self._count)
        if self._error:
            raise self._error

    def _frame(self, index: int, raw: int) -> Frame:
        image = np.full((48, 64, 3), 90, np.uint8)
        image[0, 0] = raw % 256
        return Frame(image, index, raw, Fraction(1, 30))


class Log(NullSink):
    """Remembers the order and content of what it was given; may raise or stall."""

    def __init__(self, fail_at: int | None = None, delay: float = 0.0) -> None:
        super().__init__()
        self.indices: list[int] = []
        self.fail_at, self.delay = fail_at, delay

    def write(self, result: Result) -> None:
        if result.frame.index == self.fail_at:
            raise SinkError("the disk is full")
        time.sleep(self.delay)
        assert result.segmentation.index == result.frame.index
        self.indices.append(result.frame.index)
        super().write(result)


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


class Starting(Segmenter):
    """Makes workers slowly, and remembers in which thread; the last one fails with `error`."""

    def __init__(self, model: object, error: Exception | None = None) -> None:
        super().__init__(model, size=(64, 48), streams=3)
        self.made: list[str] = []
        self.error = error

    def worker(self, width: int, height: int) -> object:
        time.sleep(0.3)
        self.made.append(threading.current_thread().name)
        if self.error and len(self.made) == 3:
            raise self.error
        return super().worker(width, height)


def test_workers_are_ready_before_the_clock_and_the_first_frame(model) -> None:
    class Late(Frames):
        def _raw(self) -> Iterator[int]:
            before.extend(starting.made)
            yield from super()._raw()

    before: list[str] = []
    with Starting(model) as starting:
        starting.engine(64, 48)
        summary = Pipeline(Late(3), starting, [NullSink()]).run()
    assert sorted(before) == [f"rtseg-worker-{i}" for i in range(3)]
    assert summary.written == 3
    assert summary.seconds < 0.3


def test_a_worker_that_cannot_start_ends_the_run_before_it_begins(model) -> None:
    source, log = Frames(None), Log()
    with (
        Starting(model, EngineError("no context")) as starting,
        pytest.raises(EngineError, match="no context"),
    ):
        Pipeline(source, starting, [log]).run()
    assert len(starting.made) == 3
    assert source._seen == 0 and not log.indices


def test_stop_while_workers_start(model) -> None:
    with Starting(model) as starting:
        pipeline = Pipeline(Frames(None), starting, [NullSink()])
        timer = threading.Timer(0.1, pipeline.stop)
        timer.start()
        summary = pipeline.run()
        timer.join()
    assert summary.stopped and summary.written == 0


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
