"""The three scenarios: what they count, and that nothing in them hangs."""

from __future__ import annotations

import threading
from fractions import Fraction

import numpy as np
import pytest
from pipeline_parts import Frames, Log

from rtseg.benchmark.rounds import AGE, END_TO_END, Round
from rtseg.benchmark.scenarios import Course, constant_stream, offline, single_stream
from rtseg.errors import EngineError, InputError, SourceError
from rtseg.segmentation import Segmentation
from rtseg.segmenter import Segmenter

FAST = Fraction(1_000_000)


@pytest.fixture(scope="module")
def segmenter():
    with Segmenter("dilanet-s", size=(64, 48), backend="openvino", precision="f32") as made:
        yield made


class Slow:
    """Stands in for a segmenter: its workers wait until the source has no more frames."""

    streams = 1

    def __init__(self, gate: threading.Event, error: Exception | None = None) -> None:
        self.gate, self.error, self.seen = gate, error, []

    def worker(self, width: int, height: int) -> Slow:  # noqa: ARG002
        return self

    def segment(self, frame) -> Segmentation:
        if self.error is not None:
            raise self.error
        self.gate.wait(20)
        self.seen.append(frame.index)
        return Segmentation(np.zeros((48, 64), np.uint8), None, timings={"inference": 1.0})


class Gated(Frames):
    """Opens the gate when it is asked for a frame that it does not have."""

    def __init__(self, count: int, gate: threading.Event) -> None:
        super().__init__(count)
        self.gate = gate

    def _raw(self):
        yield from super()._raw()
        self.gate.set()


@pytest.mark.parametrize("scenario", [offline, single_stream])
def test_all_frames_go_through_in_order(segmenter, scenario) -> None:
    log = Log()
    with log:
        found = scenario(Course(Frames(12), segmenter, [log], None))
    assert log.indices == list(range(12))
    assert (found.frames, found.done, found.dropped, found.late) == (12, 12, 0, 0)
    assert {"decode", "preprocess", "inference", "postprocess", "write"} <= found.stages.keys()
    assert all(stats.count == 12 for stats in found.stages.values())


def test_a_latency_is_that_of_all_stages(segmenter) -> None:
    found = single_stream(Course(Frames(8), segmenter, [], None))
    whole = found.stages[END_TO_END]
    parts = [stats.mean for name, stats in found.stages.items() if name != END_TO_END]
    assert whole.count == 8
    assert sum(parts) <= whole.mean


def test_frames_of_a_camera_do_not_queue_up() -> None:
    """Those that nobody had time for are dropped, and the newest one is taken."""
    gate = threading.Event()
    slow = Slow(gate)
    found = constant_stream(Course(Gated(50, gate), slow, [], None), FAST)
    assert found.frames == 50
    assert found.done == len(slow.seen) <= 2
    assert found.dropped == 50 - found.done
    assert slow.seen[-1] == 49
    assert found.late == found.done  # a microsecond is not enough
    assert found.stages[AGE].count == found.done


def test_nothing_is_dropped_or_late_where_there_is_time(segmenter) -> None:
    found = constant_stream(Course(Frames(3), segmenter, [], None), Fraction(1, 2))
    assert (found.frames, found.done, found.dropped, found.late) == (3, 3, 0, 0)
    assert found.seconds >= 3 * 2  # three frames take three intervals, or the rate would be 3/4


def test_a_worker_that_fails_ends_the_round() -> None:
    slow = Slow(threading.Event(), EngineError("lost"))
    with pytest.raises(EngineError, match="lost"):
        constant_stream(Course(Frames(200), slow, [], None), FAST)


def test_a_source_that_fails_ends_the_round(segmenter) -> None:
    source = Frames(3, SourceError("cable"))
    with pytest.raises(SourceError, match="cable"):
        constant_stream(Course(source, segmenter, [], None), FAST)


def test_no_frames_is_no_measurement(segmenter) -> None:
    for scenario in (offline, single_stream, lambda c: constant_stream(c, FAST)):
        with pytest.raises(InputError, match="gave no frame"):
            scenario(Course(Frames(0), segmenter, [], None))


def test_the_bound_is_cores_by_processor_time() -> None:
    found = Round(100, 80, seconds=4.0, cpu_seconds=6.0, cores=2, stages={}, dropped=20)
    assert found.fps == 20
    assert found.bound == pytest.approx(80 * 2 / 6)
    assert found.utilisation == 0.75
    assert found.document()["dropped"] == 20
