"""Rates and percentiles."""

from __future__ import annotations

import time

import pytest

from rtseg.timing import RateMeter, StageClock, Summary


def test_stage_statistics() -> None:
    clock = StageClock()
    for value in range(1, 101):
        clock.add({"decode": float(value)})
    stats = clock.stats()["decode"]
    assert (stats.count, stats.mean, stats.median) == (100, 50.5, 50.5)
    assert stats.p99 == pytest.approx(99.01)


def test_n_stamps_are_n_minus_one_intervals() -> None:
    meter = RateMeter()
    for _ in range(5):
        meter.tick()
        time.sleep(0.02)
    assert 20 < meter.rate < 50  # 50 if each interval is 20 ms; 62 if stamps were counted


def test_an_empty_run_has_no_rate() -> None:
    empty = Summary(0, 0, 0, 0, 0, 0, 0.0, 0.0, 2, {}, False)
    assert empty.fps == 0
    assert empty.bound == 0
