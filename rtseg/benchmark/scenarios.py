"""The three ways in which frames come: one at a time, as fast as they can, at a camera's rate.

The names and what they measure follow MLPerf Inference (Reddi et al. 2020,
https://arxiv.org/abs/1911.02549), with a camera's constant stream in place of its server.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from rtseg.benchmark.rounds import AGE, END_TO_END, Round
from rtseg.errors import InputError
from rtseg.frame import Frame
from rtseg.hardware import cpu_count
from rtseg.overlay.painter import Painter
from rtseg.pipeline import Pipeline
from rtseg.segmentation import Result
from rtseg.segmenter import Segmenter
from rtseg.timing import StageClock
from rtseg.video.sinks import Sink
from rtseg.video.sources import Source
from rtseg.workers import Worker


class Course(NamedTuple):
    """What the frames of one round go through: source and sinks, freshly opened by the caller.

    painter: None where no sink shows pictures.
    """

    source: Source
    segmenter: Segmenter
    sinks: list[Sink]
    painter: Painter | None


def offline(course: Course) -> Round:
    """All frames through the pipeline of `rtseg run`, outputs closed included: throughput."""
    pipeline = Pipeline(course.source, course.segmenter, course.sinks, painter=course.painter)
    s = pipeline.run()
    if not s.written:
        raise InputError(f"{course.source.info.name} gave no frame; expected at least one")
    return Round(s.frames_in, s.written, s.seconds, s.cpu_seconds, s.cores, s.stages)


def single_stream(course: Course) -> Round:
    """The next frame is asked for when the one before is written: latency, by one worker."""
    worker, clock = _worker(course), StageClock()
    done, started, cpu = 0, time.perf_counter(), time.process_time()
    for frame, decode_ms, asked in _timed(course.source):
        stages = _process(course, worker, frame, decode_ms)
        total = (time.perf_counter() - asked) * 1e3
        clock.add({**stages, END_TO_END: total})
        done += 1
    return _round(course, clock, (started, cpu), frames=done, done=done)


def constant_stream(course: Course, rate: Fraction) -> Round:
    """Frames arrive at `rate` a second whether anybody is ready or not, as from a camera.

    Each worker takes the newest frame; one that is still waiting when the next arrives is dropped.
    Age is from a frame's arrival until its labels are there; it is late if older than one frame's
    time. Decoding is before the arrival, as a camera's frames come; where it takes longer than a
    frame's time, frames age while it does. Sinks and painter are left out: they want all in order.
    """
    return _Arrivals(course, rate).run()


class _Arrivals:
    """A thread that lets frames arrive, workers that take the newest, the caller who waits."""

    def __init__(self, course: Course, rate: Fraction) -> None:
        self._course, self._interval = course, float(1 / rate)
        self._newest: queue.Queue[tuple[Frame, float, float] | None] = queue.Queue(maxsize=1)
        self._lock = threading.Lock()  # of what is counted
        self._clock = StageClock()
        self._came = self._dropped = self._late = self._done = 0
        self._errors: list[BaseException] = []

    def run(self) -> Round:
        workers = [_worker(self._course) for _ in range(self._course.segmenter.streams)]
        threads = [threading.Thread(target=self._guarded, args=(w,)) for w in workers]
        for thread in threads:
            thread.start()
        begun = time.perf_counter(), time.process_time()
        try:
            self._arrive()
        except BaseException as exc:
            self._errors.append(exc)
        for _ in threads:
            self._newest.put(None)
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]
        return _round(
            self._course, self._clock, begun, frames=self._came, done=self._done,
            dropped=self._dropped, late=self._late,
        )  # fmt: skip

    def _guarded(self, worker: Worker) -> None:
        try:
            self._work(worker)
        except BaseException as exc:
            self._errors.append(exc)
            while self._newest.get() is not None:  # nobody may wait for this thread
                pass

    def _arrive(self) -> None:
        begun = 0.0
        for number, (frame, decode_ms, _) in enumerate(_timed(self._course.source)):
            if self._errors:
                return
            begun = begun or time.perf_counter()  # the first frame arrives when it is decoded
            arrival = begun + number * self._interval
            time.sleep(max(0.0, arrival - time.perf_counter()))
            self._came += 1
            self._put((frame, decode_ms, arrival))
        # n frames take n intervals: the last one's is waited for.
        time.sleep(max(0.0, begun + self._came * self._interval - time.perf_counter()))

    def _put(self, item: tuple[Frame, float, float]) -> None:
        """In the place of one that still waits."""
        while True:
            try:
                self._newest.put_nowait(item)
            except queue.Full:
                try:
                    self._newest.get_nowait()
                except queue.Empty:  # a worker was faster
                    continue
                self._dropped += 1
            else:
                return

    def _work(self, worker: Worker) -> None:
        while (item := self._newest.get()) is not None:
            frame, decode_ms, arrival = item
            timings = worker.segment(frame).timings
            age = time.perf_counter() - arrival
            with self._lock:
                self._clock.add({"decode": decode_ms, **timings, AGE: age * 1e3})
                self._done += 1
                self._late += age > self._interval


def _worker(course: Course) -> Worker:
    return course.segmenter.worker(course.source.info.width, course.source.info.height)


def _timed(source: Source) -> Iterator[tuple[Frame, float, float]]:
    """Each frame with the milliseconds it took to come, and when it was asked for."""
    while True:
        asked = time.perf_counter()
        frame = next(source, None)
        if frame is None:
            return
        yield frame, (time.perf_counter() - asked) * 1e3, asked


def _process(course: Course, worker: Worker, frame: Frame, decode_ms: float) -> dict[str, float]:
    """Segment, paint and write a frame; milliseconds by stage."""
    picture = None
    if course.painter is None:
        segmentation = worker.segment(frame)
    else:
        segmentation, picture = worker.render(frame, course.painter)
    stages = {"decode": decode_ms, **segmentation.timings}
    start = time.perf_counter()
    for sink in course.sinks:
        sink.write(Result(frame, segmentation, picture, stages))
    return {**stages, "write": (time.perf_counter() - start) * 1e3}


def _round(
    course: Course,
    clock: StageClock,
    begun: tuple[float, float],
    *,
    frames: int,
    done: int,
    dropped: int = 0,
    late: int = 0,
) -> Round:
    """begun: the clock's and the processor's time at the start."""
    seconds, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
    if not done:
        raise InputError(f"{course.source.info.name} gave no frame; expected at least one")
    return Round(frames, done, seconds, cpu, cpu_count(), clock.stats(), dropped, late)
