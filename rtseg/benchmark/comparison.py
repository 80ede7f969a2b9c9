"""Two benchmark documents side by side: ratios, and whether they mean anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any, Literal, NamedTuple, TypeAlias

from rtseg.benchmark.rounds import AGE, END_TO_END
from rtseg.errors import InputError

SCHEMA = 1

PARTS = ("machine", "versions", "engine", "source", "settings")
"""Of a document, which must be the same in two for a ratio to be of one thing."""

Verdict: TypeAlias = Literal["better", "worse", "no difference shown"]

HIGHER: Mapping[str, bool] = {"fps": True, f"{END_TO_END} p50": False, f"{AGE} p50": False}
"""The figures that are compared, and whether more of them is better."""


class Row(NamedTuple):
    """One figure of a scenario. a, b: medians over the rounds; ratio: b / a."""

    scenario: str
    figure: str
    a: float
    b: float
    ratio: float
    verdict: Verdict


def load(path: Path) -> dict[str, Any]:
    """A document that `rtseg bench --json` wrote. Raises InputError for anything else."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as exc:
        raise InputError(f"{path} is no result of rtseg bench --json: {exc}") from exc
    if not isinstance(document, dict) or "schema" not in document:
        raise InputError(f"{path} is no result of rtseg bench --json: it has no schema")
    if document["schema"] != SCHEMA:
        raise InputError(f"{path} has schema {document['schema']}; this rtseg reads {SCHEMA}")
    if "sweep" in document:
        raise InputError(f"{path} is a sweep of {len(document['sweep'])}; compare single results")
    if not _complete(document):
        raise InputError(f"{path} is no result of rtseg bench --json: parts are missing")
    return document


def _complete(document: Mapping[str, Any]) -> bool:
    """Whether there is what a comparison reads."""
    try:
        rounds = [r for s in document["scenarios"].values() for r in s["rounds"]]
        figures = [_values([r], name) for r in rounds for name in HIGHER]
        parts = [dict(document[part]) for part in PARTS]
    except (KeyError, TypeError, ValueError, AttributeError):
        return False
    return bool(rounds and parts) and all(value > 0 for found in figures for value in found)


def compare(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Row]:
    """Rows of the scenarios that both have. Raises InputError if there is none."""
    rows = []
    for name in a["scenarios"].keys() & b["scenarios"].keys():
        pair = a["scenarios"][name]["rounds"], b["scenarios"][name]["rounds"]
        for figure, higher in HIGHER.items():
            left, right = (_values(rounds, figure) for rounds in pair)
            if left and right:
                rows.append(_row(name, figure, left, right, higher=higher))
    if not rows:
        raise InputError("the two have no scenario in common; run the same --scenario for both")
    return sorted(rows)


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """What else is not the same in the two, for people: then a ratio is not of one thing."""
    found = []
    for part in PARTS:
        left, right = a.get(part, {}), b.get(part, {})
        found += [
            f"{part} {key}: {left.get(key)} and {right.get(key)}"
            for key in sorted(left.keys() | right.keys())
            if left.get(key) != right.get(key)
        ]
    return found


def _values(rounds: list[dict[str, Any]], figure: str) -> list[float]:
    if figure == "fps":
        return [float(r["fps"]) for r in rounds]
    stage = figure.removesuffix(" p50")
    return [float(r["stages_ms"][stage]["median"]) for r in rounds if stage in r["stages_ms"]]


def _row(scenario: str, figure: str, a: list[float], b: list[float], *, higher: bool) -> Row:
    left, right = median(a), median(b)
    return Row(scenario, figure, left, right, right / left, _verdict(a, b, higher=higher))


def _verdict(a: list[float], b: list[float], *, higher: bool) -> Verdict:
    """A difference is shown if the rounds of one are all above those of the other.

    With three rounds each, chance does that to equal ones in one of ten comparisons; with one round
    it always does, so that nothing is shown by it.
    """
    if min(len(a), len(b)) < 2:
        return "no difference shown"
    if min(b) > max(a):
        return "better" if higher else "worse"
    if max(b) < min(a):
        return "worse" if higher else "better"
    return "no difference shown"
