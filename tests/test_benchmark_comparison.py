"""Comparing two results: ratios, verdicts, and what is no result."""

from __future__ import annotations

import json

import pytest

from rtseg.benchmark.comparison import compare, differences, load
from rtseg.errors import InputError


def result(*fps: float, latency: float = 10.0, **parts) -> dict:
    rounds = [
        {"fps": f, "stages_ms": {"end to end": {"median": latency + i / 10}}}
        for i, f in enumerate(fps)
    ]
    return {"schema": 1, "scenarios": {"offline": {"rounds": rounds}}, **parts}


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ((50, 51, 52), (60, 61, 62), "better"),
        ((50, 51, 52), (40, 41, 42), "worse"),
        ((50, 51, 52), (51, 53, 55), "no difference shown"),  # they overlap
        ((50,), (90,), "no difference shown"),  # one round says nothing of the spread
    ],
)
def test_a_difference_is_shown_by_rounds_that_do_not_overlap(a, b, verdict) -> None:
    rates = [row for row in compare(result(*a), result(*b)) if row.figure == "fps"]
    assert [row.verdict for row in rates] == [verdict]
    assert rates[0].ratio == pytest.approx(sorted(b)[len(b) // 2] / sorted(a)[len(a) // 2])


def test_less_of_a_latency_is_better() -> None:
    rows = compare(result(50, 51), result(50, 51, latency=5))
    assert {row.figure: row.verdict for row in rows} == {
        "fps": "no difference shown", "end to end p50": "better",
    }  # fmt: skip


def test_what_else_differs_is_said() -> None:
    a = result(1, 2, engine={"model": "a", "precision": "f32"})
    b = result(1, 2, engine={"model": "b", "precision": "f32"}, settings={"frames": 9})
    assert differences(a, b) == ["engine model: a and b", "settings frames: None and 9"]


def test_nothing_in_common_cannot_be_compared() -> None:
    other = {"schema": 1, "scenarios": {"single-stream": {"rounds": [{"fps": 1}]}}}
    with pytest.raises(InputError, match="no scenario in common"):
        compare(result(1, 2), other)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 1, "scenarios": {"offline": {"rounds": []}}}', "no json"]
)
def test_what_is_no_result_is_refused(tmp_path, text) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"r\.json is no result"):
        load(path)


def test_a_schema_of_another_version_is_refused(tmp_path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps(result(1, 2) | {"schema": 9}))
    with pytest.raises(InputError, match="schema 9; this rtseg reads 1"):
        load(path)
