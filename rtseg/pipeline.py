"""The pipeline: one thread decodes, several segment and paint, the caller's thread writes.

It is the same for frames in the machine's memory and on a GPU: the workers know where they work.

    source ─▶ capture thread ─▶ jobs ─▶ workers (preprocess, inference, postprocess, paint)
                    └────────▶ order of frames ──────────────▶ caller's thread ─▶ sinks

The capture thread puts a future for each frame into `order` and the frame into `jobs`; the writer
takes the futures in that order, so frames leave as they came however the workers finish. A number
of slots bounds the frames under way: when they are all taken, decoding waits. No frame of a file is
lost. An exception in any thread travels through the futures to the caller.

The clock starts, and the first frame is taken, when every worker has its inference context: on a
GPU one may take as long as hundreds of frames.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

import numpy as np

from rtseg.frame import DevicePicture, Frame, Picture
from rtseg.hardware import cpu_count
from rtseg.overlay import Overlay
from rtseg.overlay.painter import OverlayPainter, Painter
from rtseg.segmentation import Result
from rtseg.segmenter import Segmenter
from rtseg.timing import RateMeter, StageClock, Summary
from rtseg.video.sinks import Sink
from rtseg.video.sources import Source
from rtseg.workers import Worker

if TYPE_CHECKING:
    from numpy.typing import NDArray

_JOIN = 2.0
"""Seconds that the threads get to end after a failure."""


def painter(
    overlay: Overlay,
    canvas: Callable[[Frame], Picture | DevicePicture],
    status: Callable[[Frame], str] = lambda _: "",
) -> Painter:
    """Paints into the pictures of `canvas`, such as `VideoSink.picture_for`, which are the memory
    that will be encoded; `status` makes the status line."""
    return OverlayPainter(overlay, canvas, status)


def in_flight(streams: int) -> int:
    """How many frames somebody in a pipeline of so many workers may refer to: those under way, and
    the last ones of each thread."""
    return _depth(streams) + streams + 2


def _depth(streams: int) -> int:
    return 2 * streams + 2


class _Job:
    """A frame on its way, and the promise of its result."""

    __slots__ = ("decode_ms", "frame", "result")

    def __init__(self, frame: Frame, decode_ms: float) -> None:
        self.frame = frame
        self.decode_ms = decode_ms
        self.result: Future[Result] = Future()


class Pipeline:
    """Moves the frames of one source through a segmenter to sinks.

    source, sinks: opened by the caller, who also closes them if `run` raises. A `Result` and what
    it refers to is only valid during `Sink.write`: the buffers are used again.
    painter: makes `Result.picture`; None if no sink needs one.
    depth: frames under way at the most; by default two more than twice the segmenter's streams.
    """

    def __init__(
        self,
        source: Source,
        segmenter: Segmenter,
        sinks: Sequence[Sink] = (),
        *,
        painter: Painter | None = None,
        depth: int | None = None,
    ) -> None:
        self._source, self._segmenter, self._sinks = source, segmenter, sinks
        self._painter = painter
        self._most = depth
        self._slots = threading.Semaphore(0)  # none before `run`
        self._ready: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._order: queue.SimpleQueue[_Job | BaseException | None] = queue.SimpleQueue()
        self._spare: deque[NDArray[np.uint8]] = deque()
        self._stopping = threading.Event()  # no more frames are taken from the source
        self._aborted = threading.Event()  # frames under way are not worth finishing
        self._captured = 0
        self.meter = RateMeter()

    def stop(self) -> None:
        """End after the frames that are under way; safe in a signal handler."""
        self._stopping.set()
        self._source.interrupt()
        self._order.put(None)  # wakes the writer; `SimpleQueue.put` may interrupt itself

    def run(self, on_frame: Callable[[Result], None] | None = None) -> Summary:
        """Run to the end of the source and close the sinks, which counts as part of the run.

        on_frame is called after each frame was written.

        Raises what any stage raised, after the frames before it were written.
        """
        info = self._source.info
        self._segmenter.engine(info.width, info.height)  # compiled before the clock starts
        # Only now: an engine on a GPU takes fewer streams than were asked for.
        self._slots.release(self._most or _depth(self._segmenter.streams))
        threads: list[threading.Thread] = []
        tally = _Tally()
        stopped = False
        try:
            self._start_workers(threads)
            started, cpu_started = time.perf_counter(), time.process_time()
            self._start(threads, "rtseg-capture", self._capture)
            self._write_all(tally, on_frame)
            stopped = self._stopping.is_set()
            for sink in self._sinks:
                sink.close()
        finally:
            self._end(threads)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_started
        return self._summary(tally, seconds, cpu, stopped)

    def _end(self, threads: list[threading.Thread]) -> None:
        """End all threads; those that hang are left behind after a while."""
        self._stopping.set()
        self._aborted.set()
        self._source.interrupt()
        for _ in threads:
            self._jobs.put(None)
        deadline = time.monotonic() + _JOIN
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _start_workers(self, threads: list[threading.Thread]) -> None:
        """Start them and wait until each is ready. Raises what kept one from it."""
        for i in range(self._segmenter.streams):
            self._start(threads, f"rtseg-worker-{i}", self._work)
        for _ in range(self._segmenter.streams):
            failure = self._ready.get()
            if failure is not None:
                raise failure

    def _start(
        self, threads: list[threading.Thread], name: str, target: Callable[[], None]
    ) -> None:
        """Start a thread and put it among those that are to be ended."""
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        threads.append(thread)

    # Capture thread

    def _capture(self) -> None:
        try:
            while self._take_slot():
                start = time.perf_counter()
                frame = next(self._source, None)
                if frame is None or self._stopping.is_set():
                    break
                job = _Job(frame, (time.perf_counter() - start) * 1e3)
                self._captured += 1
                self._order.put(job)
                self._jobs.put(job)
        except BaseException as exc:
            self._order.put(exc)
        else:
            self._order.put(None)

    def _take_slot(self) -> bool:
        """Wait for a free slot; False once the run is stopping."""
        while not self._stopping.is_set():
            if self._slots.acquire(timeout=0.05):
                return True
        return False

    # Worker threads

    def _work(self) -> None:
        try:
            info = self._source.info
            worker = self._segmenter.worker(info.width, info.height)
        except BaseException as exc:
            self._ready.put(exc)
            return
        self._ready.put(None)
        while (job := self._jobs.get()) is not None:
            if self._aborted.is_set():
                continue
            try:
                job.result.set_result(self._process(worker, job))
            except BaseException as exc:
                job.result.set_exception(exc)

    def _process(self, worker: Worker, job: _Job) -> Result:
        frame = job.frame
        labels = self._labels(frame.height, frame.width)
        picture: Picture | DevicePicture | None = None
        if self._painter is None:
            segmentation = worker.segment(frame, labels)
        else:
            segmentation, picture = worker.render(frame, self._painter, labels)
        stages = {"decode": job.decode_ms, **segmentation.timings}
        return Result(frame, segmentation, picture, stages)

    def _labels(self, height: int, width: int) -> NDArray[np.uint8]:
        """A label buffer that was used before, if there is one of that size."""
        try:
            labels = self._spare.pop()
        except IndexError:
            labels = np.empty((height, width), np.uint8)
        return labels if labels.shape == (height, width) else np.empty((height, width), np.uint8)

    # Caller's thread

    def _write_all(self, tally: _Tally, on_frame: Callable[[Result], None] | None) -> None:
        while (item := self._order.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            result = item.result.result()
            self._write(result, tally)
            if on_frame is not None:
                on_frame(result)
            self._spare.append(result.segmentation.labels)
            self._slots.release()

    def _write(self, result: Result, tally: _Tally) -> None:
        start = time.perf_counter()
        for sink in self._sinks:
            sink.write(result)
        tally.clock.add({**result.stages, "write": (time.perf_counter() - start) * 1e3})
        tally.written += 1
        tally.invalid += not result.segmentation.valid
        tally.corrupt += result.frame.corrupt
        self.meter.tick()

    def _summary(self, tally: _Tally, seconds: float, cpu_seconds: float, stopped: bool) -> Summary:
        failed = self._source.failed
        return Summary(
            frames_in=self._captured + failed,
            written=tally.written,
            dropped=self._captured - tally.written,
            failed=failed,
            invalid=tally.invalid,
            corrupt=tally.corrupt,
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            cores=cpu_count(),
            stages=tally.clock.stats(),
            stopped=stopped,
        )


class _Tally:
    """What the writing thread counts."""

    def __init__(self) -> None:
        self.clock = StageClock()
        self.written = self.invalid = self.corrupt = 0
