"""The pipeline's beginning: workers first, then the clock and the first frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from pipeline_parts import Frames, Log

from rtseg.errors import EngineError
from rtseg.pipeline import Pipeline
from rtseg.segmenter import Segmenter
from rtseg.video.sinks import NullSink


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    names = [t.name for t in threading.enumerate() if t.name.startswith("rtseg-")]
    assert not names


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
        began = time.perf_counter()
        summary = Pipeline(Late(3), starting, [NullSink()]).run()
        whole = time.perf_counter() - began
    assert sorted(before) == [f"rtseg-worker-{i}" for i in range(3)]
    assert summary.written == 3
    assert whole - summary.seconds >= 0.3  # making workers is not part of the run


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
