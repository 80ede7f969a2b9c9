"""Runs of rtseg on a video, alone or several at a time, and what came of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from rtseg.benchmark.rounds import END_TO_END
from rtseg.benchmark.scenarios import Course, single_stream
from rtseg.overlay import Overlay
from rtseg.pipeline import Pipeline, painter
from rtseg.segmentation import Result
from rtseg.segmenter import Segmenter
from rtseg.video.base import Source
from rtseg.video.sinks import VideoSink
from rtseg.video.sources import open_source

TINY = os.environ.get("RTSEG_BENCH_TINY") == "1"
MODEL = "dilanet-m"
INPUT = (96, 56) if TINY else (768, 432)
PAUSE = 0.0 if TINY else 0.3  # threads of the run before stop spinning
CHILD = Path(__file__).parent / "scaling_child.py"

Figures = dict[str, float]
Key = TypeVar("Key", bound=Hashable)


class Run(NamedTuple):
    """Of one video. started, ended: seconds of the machine's monotonic clock, the same in all
    processes. ages_ms: from when a frame was asked for until it was written, with its place in the
    queue."""

    started: float
    ended: float
    cpu_seconds: float
    ages_ms: list[float]


def segmenter(streams: int, precision: str = "auto") -> Segmenter:
    """On the CPU, with a fixed input; not compiled yet."""
    return Segmenter(
        MODEL, size=INPUT, backend="openvino", precision=precision, streams=streams
    )  # fmt: skip


class Clocked:
    """A source that notes when each frame was asked for, by its index."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.asked: dict[int, float] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        asked = time.perf_counter()
        frame = next(self._source)
        self.asked[frame.index] = asked
        return frame


@contextmanager
def course(made: Segmenter, clip: Path, frames: int | None) -> Iterator[Course]:
    """From a video to a video, overlay included; the output is removed again."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rtseg-bench-"))
        source = stack.enter_context(open_source(clip, max_frames=frames))
        sink = stack.enter_context(VideoSink(Path(folder) / "out.mp4", info=source.info))
        overlay = Overlay(made.model.classes)
        status: Callable[[Any], str] = lambda frame: f"{frame.seconds:.1f}"  # noqa: E731
        yield Course(source, made, [sink], painter(overlay, sink.picture_for, status))


def offline(
    made: Segmenter, clip: Path, *, frames: int | None = None, depth: int | None = None
) -> Run:
    """All frames through the pipeline of `rtseg run`."""
    ages: list[float] = []
    with course(made, clip, frames) as way:
        source = Clocked(way.source)

        def written(result: Result) -> None:
            ages.append((time.perf_counter() - source.asked[result.frame.index]) * 1e3)

        summary = Pipeline(source, made, way.sinks, painter=way.painter, depth=depth).run(written)
        ended = time.perf_counter()
    return Run(ended - summary.seconds, ended, summary.cpu_seconds, ages)


def single(made: Segmenter, clip: Path, *, frames: int | None = None) -> Figures:
    """One frame after another by one worker: medians of the stages and of "end to end" in ms."""
    with course(made, clip, frames) as way:
        return {name: stats.median for name, stats in single_stream(way).stages.items()}


def figures(runs: Sequence[Run]) -> Figures:
    """Of videos that ran at the same time, taken together."""
    ages = np.concatenate([run.ages_ms for run in runs])
    seconds = max(run.ended for run in runs) - min(run.started for run in runs)
    return {
        "fps": ages.size / seconds,
        "frame_ms": 1e3 * seconds / ages.size,
        "cpu_ms": 1e3 * sum(run.cpu_seconds for run in runs) / ages.size,
        "mean_ms": float(ages.mean()),
        "median_ms": float(np.median(ages)),
        "p95_ms": float(np.percentile(ages, 95)),
    }


def in_threads(makers: Sequence[Segmenter], clip: Path, frames: int) -> Figures:
    """The same video once for each segmenter, all at a time in this process."""
    with ThreadPoolExecutor(len(makers)) as pool:
        return figures(list(pool.map(partial(offline, clip=clip, frames=frames), makers)))


def in_processes(children: Sequence[Child], frames: int) -> Figures:
    """The same video once in each process, all at a time."""
    for child in children:
        child.ask(way="offline", frames=frames)
    return figures([Run(**child.answer()) for child in children])


class Child:
    """A process of its own that runs rtseg on a video when it is asked to, on so many cores."""

    def __init__(self, clip: Path, precision: str, cores: int) -> None:
        command = [sys.executable, str(CHILD), str(clip), precision]
        with on_cores(cores):  # a process inherits them
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )

    def ask(self, **job: Any) -> None:
        assert self._process.stdin is not None
        print(json.dumps(job), file=self._process.stdin, flush=True)

    def answer(self) -> dict[str, Any]:
        """What it gave for the last job, or {} when it is ready for the first."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{CHILD.name} ended with {self._process.wait()}")
        return dict(json.loads(line))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def crew(clip: Path, precision: str, cores: Iterable[int]) -> Iterator[list[Child]]:
    """Processes that are ready, one for each number of cores."""
    children: list[Child] = []
    try:
        children += (Child(clip, precision, count) for count in cores)
        for child in children:
            child.answer()
        yield children
    finally:
        for child in children:
            child.close()


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """This thread, and what it starts, on the first of the cores it has."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    had = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(had)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, had)


def in_turns(calls: Mapping[Key, Callable[[], Figures]], rounds: int) -> dict[Key, list[Figures]]:
    """What each call gave, round by round, each round all in turn; one more round warms up."""
    found: dict[Key, list[Figures]] = {key: [] for key in calls}
    for turn in range(1 if TINY else 0, rounds + 1):
        for key, call in calls.items():
            time.sleep(PAUSE)
            given = call()
            if turn:
                found[key].append(given)
    return found
