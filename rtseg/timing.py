"""Where the time of a run went: stages, throughput, and the bound it could reach."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

ENOUGH = 1000
"""Samples from which a 99.9th percentile means something."""


@dataclass(frozen=True, slots=True)
class StageStats:
    """Milliseconds of one stage over a run. p999: None of fewer than `ENOUGH` samples."""

    count: int
    min: float
    mean: float
    median: float
    p90: float
    p95: float
    p99: float
    p999: float | None

    @classmethod
    def of(cls, samples: Collection[float]) -> StageStats:
        """At least one sample."""
        values = np.fromiter(samples, np.float64, len(samples))
        median, p90, p95, p99, p999 = map(float, np.percentile(values, (50, 90, 95, 99, 99.9)))
        return cls(
            len(samples), float(values.min()), float(values.mean()), median, p90, p95, p99,
            p999 if len(samples) >= ENOUGH else None,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts and times of a run; frames_in = written + dropped + failed.

    dropped: decoded but not written, because the run was stopped. failed: not decodable.
    invalid: written, but the network gave no finite answer. corrupt: written with concealed damage.
    seconds: from the first frame asked for until all outputs are closed; cpu_seconds: of all
    threads in that time; cores: that this process may use.
    """

    frames_in: int
    written: int
    dropped: int
    failed: int
    invalid: int
    corrupt: int
    seconds: float
    cpu_seconds: float
    cores: int
    stages: Mapping[str, StageStats]
    stopped: bool

    @property
    def fps(self) -> float:
        """Frames written per second."""
        return self.written / self.seconds if self.seconds > 0 else 0.0

    @property
    def bound(self) -> float:
        """Frames per second if every core were busy all the time: cores / CPU-seconds a frame."""
        return self.cores * self.written / self.cpu_seconds if self.cpu_seconds > 0 else 0.0


WINDOW = 1 << 16
"""Frames that stage statistics reach back: 18 minutes at 60 fps, so that memory stays flat."""


class StageClock:
    """Collects milliseconds by stage name, of the last `WINDOW` frames; used by one thread."""

    def __init__(self) -> None:
        self._samples: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=WINDOW))

    def add(self, stages: Mapping[str, float]) -> None:
        for name, value in stages.items():
            self._samples[name].append(value)

    def stats(self) -> dict[str, StageStats]:
        return {name: StageStats.of(samples) for name, samples in self._samples.items()}


class RateMeter:
    """Frames per second over the last second or so; any thread may read `rate`."""

    def __init__(self, window: float = 1.0, clock: Callable[[], float] = time.perf_counter) -> None:
        self._window, self._clock = window, clock
        self._ticks: deque[float] = deque()
        self.rate = 0.0

    def tick(self) -> None:
        """Count one frame, now."""
        now = self._clock()
        self._ticks.append(now)
        while now - self._ticks[0] > self._window and len(self._ticks) > 2:
            self._ticks.popleft()
        elapsed = now - self._ticks[0]
        if elapsed > 0:  # n stamps are n - 1 intervals
            self.rate = (len(self._ticks) - 1) / elapsed
