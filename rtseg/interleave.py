"""Time several candidates fairly on a noisy machine: in turns, round by round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(
    candidates: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    warmup: int = 2,
    pause: float = 0.0,
) -> dict[str, list[float]]:
    """Milliseconds of every call, by candidate. Each round calls each candidate once, in turn.

    What disturbs the machine for a while then disturbs all candidates alike, so ratios of medians
    hold even where the times themselves do not.

    pause: seconds to wait before each candidate, followed by one call that is not timed. For
    engines with threads of their own: those of the one before go on spinning for a while.
    """
    for call in candidates.values():
        for _ in range(warmup):
            call()
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, call in candidates.items():
            if pause:
                time.sleep(pause)
                call()
            start = time.perf_counter_ns()
            call()
            times[name].append((time.perf_counter_ns() - start) / 1e6)
    return times


def summary(times: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    """Median, fastest and 90th percentile in ms, and the ratio to the first candidate's median."""
    first = statistics.median(next(iter(times.values())))
    result = {}
    for name, values in times.items():
        ordered = sorted(values)
        median = statistics.median(ordered)
        result[name] = {
            "median_ms": round(median, 4),
            "min_ms": round(ordered[0], 4),
            "p90_ms": round(ordered[int(0.9 * (len(ordered) - 1))], 4),
            "ratio": round(median / first, 2),
        }
    return result
