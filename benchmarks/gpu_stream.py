"""Frames from end to end: picture in, labels on the host, through the workers of a `Segmenter`.

Frames are those of a ring: "resident" ones lie on the GPU as nv12, so that no decoder is measured;
"uploaded" ones lie in the machine's memory and each is copied. Latency is what a worker takes for a
frame by the host's clock, waiting for the others that share the GPU included. Engine-only is the
network alone, one inference behind the other, on a context of the same engine.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import numpy as np
import scenes

from rtseg.benchmark.device_timing import Candidate, in_turns, spread
from rtseg.device.memory import Form, Memory, Surface
from rtseg.device.transfer import put
from rtseg.errors import EngineError
from rtseg.frame import Frame, Yuv420
from rtseg.segmenter import DEVICE_STREAMS, Segmenter

if TYPE_CHECKING:
    from rtseg.backends.base import DeviceEngine
    from rtseg.workers import Worker

cuda: Any = import_module("numba.cuda")  # it has few types

Size: TypeAlias = tuple[int, int]

FRAME: Size = (1920, 1080)
CASES: tuple[tuple[str, Size], ...] = (
    ("dilanet-s", (1024, 512)), ("dilanet-m", (1024, 512)), ("dilanet-m", (1920, 1080))
)  # fmt: skip
SHORT = 2000
"""Frames of the runs that only find out how many workers to take."""
_RING, _WARMUP = 16, 50


class Job(NamedTuple):
    """What is to be measured. cases: model and network input; frame: size of the pictures, all
    (width, height); frames: of the long run."""

    cases: tuple[tuple[str, Size], ...]
    frame: Size
    frames: int


class Run(NamedTuple):
    """What a run of several workers took. latencies: milliseconds of each frame, in no order;
    seconds: from the first frame to the last; used: bytes of the GPU's memory in use, by all
    programs, before and after."""

    latencies: list[float]
    seconds: float
    used: tuple[int, int]


def measure(job: Job) -> Iterator[dict[str, Any]]:
    """A row for each case, place of the frames and number of workers; the last one of a case is
    the long run. Raises EngineError."""
    host, resident = ring(job.frame)
    places = {"resident": resident, "uploaded": host}
    short = min(job.frames, SHORT)
    for name, size in job.cases:
        rows = []
        for place, workers in itertools.product(places, range(1, DEVICE_STREAMS + 1)):
            rows.append(_row(name, size, place, places[place], workers, short))
            yield rows[-1]
        best = max((r for r in rows if r["frames"] == "resident"), key=lambda r: r["fps"])
        yield _row(name, size, "resident", resident, best["workers"], job.frames)


def _row(
    name: str, size: Size, place: str, frames: Sequence[Frame], workers: int, count: int
) -> dict[str, Any]:
    width, height = frames[0].width, frames[0].height
    with Segmenter(name, size=size, streams=workers) as segmenter:
        engine = cast("DeviceEngine", segmenter.engine(width, height))
        if not segmenter.on_device:
            raise EngineError(f"auto takes {engine.name}, which is no engine on the GPU")
        context = engine.device_context()
        alone = Candidate(context.stream, context.run, keep=context)
        before = rate(alone)
        run = drive(lambda: segmenter.worker(width, height), workers, frames, count)
        after = rate(alone)  # clocks follow heat
        about = {"model": name, "size": list(size), "engine": engine.name, "frames": place}
        return about | {
            "frame": [width, height],
            "workers": workers,
            **figures(run, (before + after) / 2),
            "device_bytes": segmenter.memory.device_peak,
            "pinned_bytes": segmenter.memory.host_peak,
        }


def figures(run: Run, engine_rate: float) -> dict[str, Any]:
    """engine_rate: inferences per second of the network alone."""
    fps = len(run.latencies) / run.seconds
    return {
        **spread(run.latencies),
        "fps": round(fps, 1),
        "engine_fps": round(engine_rate, 1),
        "share_of_engine": round(fps / engine_rate, 3),
        "used_before_mib": round(run.used[0] / 2**20, 1),
        "used_after_mib": round(run.used[1] / 2**20, 1),
    }


def rate(engine: Candidate) -> float:
    """Inferences per second, one behind the other."""
    return 1e3 / float(np.mean(in_turns({"": engine}, rounds=10, count=20)[""]))


def drive(make: Callable[[], Worker], workers: int, frames: Sequence[Frame], count: int) -> Run:
    """Segment `count` frames, those of a ring in turn, with workers in threads of their own.

    make: gives the worker of the thread that calls it. Each is warmed up before the clock starts.
    Raises what a worker raises.
    """
    numbers, lock = itertools.count(), threading.Lock()
    used, begun = [0, 0], [0.0]

    def begin() -> None:
        used[0], begun[0] = memory_used(), time.perf_counter()

    start = threading.Barrier(workers, action=begin, timeout=120)

    def take() -> int:
        with lock:
            return next(numbers)

    def work() -> list[float]:
        try:
            worker, labels = make(), np.empty((frames[0].height, frames[0].width), np.uint8)
            for frame in itertools.islice(itertools.cycle(frames), min(_WARMUP, count)):
                worker.segment(frame, labels)
            start.wait()
        except BaseException:
            start.abort()
            raise
        times = []
        while (number := take()) < count:
            before = time.perf_counter()
            answer = worker.segment(frames[number % len(frames)], labels)
            times.append((time.perf_counter() - before) * 1e3)
            if not answer.valid:
                raise EngineError(f"frame {number} has logits that are not finite")
        return times

    with ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(work) for _ in range(workers)]
        errors = [e for e in (job.exception() for job in jobs) if e is not None]
    seconds = time.perf_counter() - begun[0]
    for error in errors:
        if not isinstance(error, threading.BrokenBarrierError):
            raise error
    used[1] = memory_used()
    return Run([t for job in jobs for t in job.result()], seconds, (used[0], used[1]))


def memory_used() -> int:
    """Bytes of the GPU's memory that are taken, by whomever."""
    info = cuda.current_context().get_memory_info()
    return int(info.total - info.free) if math.isfinite(info.total) else 0  # the simulator's


def ring(size: Size, count: int = _RING) -> tuple[list[Frame], list[Frame]]:
    """Frames of (width, height) in the machine's memory, and the same on the GPU as nv12."""
    host = [scenes.planes(size[1], size[0], seed=seed) for seed in range(count)]
    return [Frame(p, i) for i, p in enumerate(host)], [
        Frame(uploaded(p), i) for i, p in enumerate(host)
    ]


def uploaded(planes: Yuv420) -> Any:
    """A picture on the GPU."""
    memory, form = Memory(), Form.of(planes)
    host, device = Surface.on_host(form, memory), Surface.on_device(form, memory)
    put(planes, host.planes)
    device.flat.copy_to_device(host.flat)
    return device.picture(planes.matrix, planes.full_range)
