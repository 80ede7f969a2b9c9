"""The document of a check: what is in it, the file, and the tables for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType
from typing import Any, TypeAlias

Document: TypeAlias = dict[str, Any]

SCHEMA = 1
PARTS = ("tests", "engines", "kernels", "stream", "video")

_NUMBER = (int, float)
_KEYS: dict[str, Any] = {
    "schema": int, "date": str, "revision": (dict, NoneType), "machine": dict, "versions": dict,
    "before": (dict, NoneType), "after": (dict, NoneType), "rates": (dict, NoneType),
    **dict.fromkeys(PARTS, (dict, NoneType)), "marks": list, "left_out": list, "failed": list,
}  # fmt: skip
_TIMES = dict.fromkeys(("p50_ms", "p90_ms", "p95_ms", "p99_ms", "min_ms", "count"), _NUMBER)
_ROWS: dict[str, dict[str, Any]] = {
    "engines": {"model": str, "size": list, "engine": str, "fps": _NUMBER, **_TIMES},
    "kernels": {
        "kernel": str, "size": list, "mbytes": _NUMBER, "share_of_copy": _NUMBER, "host_ms": dict,
        **_TIMES,
    },
    "stream": {
        "model": str, "size": list, "engine": str, "frames": str, "workers": int, "fps": _NUMBER,
        "share_of_engine": _NUMBER, "used_before_mib": _NUMBER, "used_after_mib": _NUMBER, **_TIMES,
    },
    "video": {"model": str, "size": list, "fps": _NUMBER, "frames": int},
    "marks": {"mark": str, "measured": (*_NUMBER, NoneType), "reached": (bool, NoneType)},
    "left_out": {"what": str, "why": str},
    "failed": {"what": str, "why": str},
}  # fmt: skip

_SAME: dict[str, tuple[str, ...]] = {
    "engines": ("model", "size", "engine"),
    "kernels": ("kernel", "size"),
    "stream": ("model", "size", "frames", "workers", "count"),
    "video": ("model", "size", "frame"),
}
"""What two rows of a part have in common if they measure the same."""


def new(
    machine: Mapping[str, Any], versions: Mapping[str, str], revision: Mapping[str, Any] | None
) -> Document:
    """A document in which nothing is measured yet."""
    blank: Document = dict.fromkeys(("before", "after", "rates", *PARTS))
    return {
        "schema": SCHEMA,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": revision and dict(revision),
        "machine": dict(machine),
        "versions": dict(versions),
        **blank,
        "marks": [],
        "left_out": [],
        "failed": [],
    }


def problems(document: Mapping[str, Any]) -> list[str]:
    """What is wrong with a document, a sentence each; none if it is as it should be."""
    found = list(_wrong("", document, _KEYS))
    for part, keys in _ROWS.items():
        value = document.get(part)
        rows = value.get("rows") if isinstance(value, dict) else value
        for i, row in enumerate(rows or ()):
            found += _wrong(f"{part}[{i}].", row, keys)
    if isinstance(document.get("tests"), dict):
        tests = document["tests"]
        found += _wrong("tests.", tests, {"counts": dict, "not_passed": list})
    return found


def keep(part: str, rows: list[dict[str, Any]], row: dict[str, Any]) -> None:
    """Add a row to those of a part, in place of one that measured the same before."""
    names = _SAME[part]
    rows[:] = [old for old in rows if any(old[n] != row[n] for n in names)]
    rows.append(row)


def _wrong(where: str, value: Mapping[str, Any], keys: Mapping[str, Any]) -> Iterator[str]:
    for key, kind in keys.items():
        if key not in value:
            yield f"{where}{key} is missing"
        elif not isinstance(value[key], kind):
            yield f"{where}{key} is a {type(value[key]).__name__}"


def write(path: Path, document: Mapping[str, Any]) -> None:
    """The file, replaced whole: it is written after every part."""
    partial = path.with_suffix(path.suffix + ".part")
    partial.write_text(json.dumps(document, indent=1) + "\n")
    partial.replace(path)


def exit_code(document: Mapping[str, Any], asked: Sequence[str]) -> int:
    """1 if a test or a measurement failed, or tests were asked for and none passed; else 0."""
    counts = (document["tests"] or {}).get("counts", {})
    untested = "tests" in asked and not counts.get("passed")
    return int(bool(document["failed"]) or counts.get("failed", 0) > 0 or untested)


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The document as tables."""
    yield f"{document['machine']['gpu']}, {document['date']}"
    if document["rates"]:
        yield "rates: " + ", ".join(_rates(document["rates"]))
    if document["tests"]:
        counts = document["tests"]["counts"]
        yield "tests: " + ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.items())
        for case in document["tests"]["not_passed"]:
            yield f"  {case['outcome']}: {case['test']}: {case['why']}"
    for part, columns in COLUMNS.items():
        rows = (document[part] or {}).get("rows", ())
        if rows:
            yield from ("", *table(rows, columns))
    if document["marks"]:
        yield from ("", *_marks(document["marks"]))
    for kind in ("left_out", "failed"):
        for item in document[kind]:
            yield f"{kind.replace('_', ' ')}: {item['what']}: {item['why']}"


COLUMNS: dict[str, tuple[str, ...]] = {
    "engines": (
        "model", "size", "engine", "p50_ms", "p99_ms", "fps", "bound_ms", "share_of_roofline"
    ),
    "kernels": (
        "kernel", "size", "p50_ms", "p99_ms", "mbytes", "share_of_copy", "share_of_same_copy",
        "torch_ratio",
    ),
    "stream": (
        "model", "size", "frames", "workers", "count", "fps", "share_of_engine", "p50_ms", "p95_ms",
        "p99_ms", "used_before_mib", "used_after_mib",
    ),
    "video": ("model", "size", "frame", "frames", "fps"),
}  # fmt: skip
"""What is shown of each part's rows."""


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Iterator[str]:
    """Rows with a head, the columns as wide as they need."""
    cells = [list(columns), *([_shown(row.get(name)) for name in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _shown(value: Any) -> str:
    if isinstance(value, list):  # a size
        return "x".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    return "" if value is None else str(value)


def _rates(rates: Mapping[str, float | None]) -> Iterator[str]:
    for name, value in rates.items():
        if value is not None:
            scale, unit = (1e12, "TFLOP/s") if name == "matrix" else (1e9, "GB/s")
            yield f"{name} {value / scale:.4g} {unit}"


def _marks(found: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    words = {True: "reached", False: "MISSED", None: "not measured"}
    for mark in found:
        yield f"{words[mark['reached']]:12s} {_shown(mark['measured']):8s} {mark['mark']}"
