"""Rates and percentiles."""

from __future__ import annotations

import pytest

from rtseg.timing import WINDOW, RateMeter, StageClock, StageStats, Summary


def test_stage_statistics() -> None:
    clock = StageClock()
    for value in range(1, 101):
        clock.add({"decode": float(value)})
    stats = clock.stats()["decode"]
    assert (stats.count, stats.mean, stats.median) == (100, 50.5, 50.5)
    assert stats.p99 == pytest.approx(99.01)
    assert (stats.min, stats.p90) == (1.0, pytest.approx(90.1))
    assert stats.p999 is None  # of so few samples it would be the largest one


def test_a_thousand_samples_have_a_percentile_more() -> None:
    stats = StageStats.of([1.0] * 999 + [9.0])
    assert stats.p999 == pytest.approx(1.008)  # linear between the last two
    assert (stats.p95, stats.p99) == (1.0, 1.0)


def test_n_stamps_are_n_minus_one_intervals() -> None:
    times = iter([0.0, 0.02, 0.04, 0.06, 0.08])
    meter = RateMeter(clock=lambda: next(times))
    for _ in range(5):
        meter.tick()
    assert meter.rate == pytest.approx(50)


def test_the_rate_is_that_of_the_last_second() -> None:
    now = 0.0
    meter = RateMeter(clock=lambda: now)
    for step in [0.5] * 10 + [0.1] * 20:
        now += step
        meter.tick()
    assert meter.rate == pytest.approx(10)


def test_statistics_reach_back_a_bounded_number_of_frames() -> None:
    clock = StageClock()
    for value in range(WINDOW + 100):
        clock.add({"decode": float(value)})
    stats = clock.stats()["decode"]
    assert stats.count == WINDOW
    assert stats.mean == pytest.approx(100 + (WINDOW - 1) / 2)


def test_an_empty_run_has_no_rate() -> None:
    empty = Summary(0, 0, 0, 0, 0, 0, 0.0, 0.0, 2, {}, False)
    assert empty.fps == 0
    assert empty.bound == 0
