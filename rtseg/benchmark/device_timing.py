"""Time on a stream: events between calls that follow each other, candidates in turns.

A burst is a number of calls put on a stream one behind the other with an event after each, waited
for once: the times between events are those of the device while the host is ahead of it. Where the
host is slower than the device, it is the host that they show, and rightly so.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numba import cuda

from rtseg.device.arrays import Stream
from rtseg.device.graph import Graph
from rtseg.kernels._cuda_jit import SIMULATED
from rtseg.kernels.cuda import uploads

Call = Callable[[], object]


def spread(samples: Sequence[float]) -> dict[str, float]:
    """Count, least, and percentiles (linear between samples) of milliseconds.

    Raises ValueError without any.
    """
    if not samples:
        raise ValueError("no samples; expected at least one")
    percentiles = np.percentile(np.asarray(samples, np.float64), (50, 90, 95, 99))
    names = "p50_ms", "p90_ms", "p95_ms", "p99_ms"
    found = {name: round(float(v), 5) for name, v in zip(names, percentiles, strict=True)}
    return {"count": len(samples), "min_ms": round(min(samples), 5), **found}


class Candidate(NamedTuple):
    """What is timed: one call puts `parts` pieces of work on `stream`, alike, without waiting.

    keep: what has to live as long.
    """

    stream: Stream
    call: Call
    parts: int = 1
    keep: object = None


class Burst:
    """Times a candidate. count: calls in a burst."""

    def __init__(self, candidate: Candidate, count: int) -> None:
        self._candidate = candidate
        self._events: list[Any] = [cuda.event() for _ in range(count + 1)]

    def __call__(self) -> list[float]:
        """Milliseconds of each piece of work in one burst."""
        stream, call, parts, _ = self._candidate
        call()  # the first one waits for the host
        self._events[0].record(stream)
        for event in self._events[1:]:
            call()
            event.record(stream)
        self._events[-1].synchronize()
        return [float(a.elapsed_time(b)) / parts for a, b in pairwise(self._events)]


def in_turns(
    candidates: Mapping[str, Candidate], *, rounds: int, count: int, warmup: int = 2
) -> dict[str, list[float]]:
    """Milliseconds of every piece of work, by candidate: in each round a burst of each in turn."""
    bursts = {name: Burst(candidate, count) for name, candidate in candidates.items()}
    for burst in bursts.values():
        for _ in range(warmup):
            burst()
    times: dict[str, list[float]] = {name: [] for name in bursts}
    for _ in range(rounds):
        for name, burst in bursts.items():
            times[name] += burst()
    return times


def waited_for(candidate: Candidate, count: int) -> list[float]:
    """Milliseconds by the host's clock from a call until the device is done with it."""
    stream, call, parts, _ = candidate
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        stream.synchronize()
        times.append((time.perf_counter() - start) * 1e3 / parts)
    return times


def enqueued(candidate: Candidate, count: int) -> list[float]:
    """Milliseconds of the host alone for a call that puts work on a stream."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        candidate.call()
        times.append((time.perf_counter() - start) * 1e3 / candidate.parts)
        candidate.stream.synchronize()
    return times


def recorded(stream: Stream, calls: Sequence[Call]) -> Candidate:
    """All calls as one CUDA graph, so that launches from Python are not what is measured.

    In the simulator, which has no graphs, the calls themselves. Raises EngineError if the graph is
    refused.
    """

    def all_calls() -> None:
        for call in calls:
            call()

    all_calls()  # compiles and uploads
    stream.synchronize()
    if SIMULATED:
        return Candidate(stream, all_calls, len(calls), calls)
    with _nothing_freed():
        graph = Graph.capture(stream, all_calls)
    return Candidate(stream, graph.launch, len(calls), (graph, calls, uploads()))


@contextmanager
def _nothing_freed() -> Iterator[None]:
    """No garbage is collected meanwhile: to free memory of the device would end a recording."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
