"""The marks that the GPU path is held to, worked out from a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

Row: TypeAlias = Mapping[str, Any]
Mark: TypeAlias = dict[str, Any]

ROOF_SIZE = [2048, 1024]
SHIPPED = ("dilanet-s", "dilanet-m")
KERNELS = ("preprocess nv12", "preprocess bgr", "postprocess scene", "blend nv12", "blend bgr")
FULL_HD = [1920, 1080]


def marks(document: Mapping[str, Any]) -> list[Mark]:
    """Each mark with what was measured and whether that reaches it; None where nothing was."""
    return [
        *_roofs(_rows(document, "engines")),
        *_kernels(_rows(document, "kernels")),
        *_streams(_rows(document, "stream")),
    ]


def _roofs(rows: Sequence[Row]) -> Iterator[Mark]:
    for name in SHIPPED:
        ratios = [
            r["p50_ms"] / r["bound_ms"]
            for r in rows
            if r["model"] == name and list(r["size"]) == ROOF_SIZE and "bound_ms" in r
        ]
        text = f"{name} at 2048x1024: time of the fastest engine / roofline, at most 2"
        yield _at_most(text, 2, min(ratios, default=None))


def _kernels(rows: Sequence[Row]) -> Iterator[Mark]:
    for kind in ("scene", "noise"):
        text = f"postprocess at 1920x1080, {kind}: ms, at most 0.1"
        yield _at_most(text, 0.1, _first(rows, "p50_ms", kernel=f"postprocess {kind}"))
    for name in KERNELS:
        shares = [r["share_of_copy"] for r in rows if r["kernel"] == name]
        text = f"{name}: least share of the copy bandwidth, at least 0.6"
        yield _at_least(text, 0.6, min(shares, default=None))


def _streams(rows: Sequence[Row]) -> Iterator[Mark]:
    for row in longest(rows):
        name = f"{row['model']} at {row['size'][0]}x{row['size'][1]}"
        yield _at_least(
            f"{name}, resident frames: frames/s / those of the engine, at least 0.95",
            0.95,
            row["share_of_engine"],
        )
        yield _at_most(
            f"{name}, resident frames: p99 / p50 of the latency, at most 1.2",
            1.2,
            row["p99_ms"] / row["p50_ms"],
        )
    if not rows:
        yield _at_least("resident frames: frames/s / those of the engine, at least 0.95", 0.95)
        yield _at_most("resident frames: p99 / p50 of the latency, at most 1.2", 1.2)


def longest(rows: Iterable[Row]) -> list[Row]:
    """The run of most frames of each model and size, with resident frames."""
    found: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        key = row["model"], *row["size"]
        if row["frames"] == "resident" and row["count"] >= found.get(key, row)["count"]:
            found[key] = row
    return list(found.values())


def _first(rows: Iterable[Row], value: str, *, kernel: str) -> float | None:
    found = (r[value] for r in rows if r["kernel"] == kernel and list(r["size"]) == FULL_HD)
    return next(found, None)


def _rows(document: Mapping[str, Any], part: str) -> Sequence[Row]:
    rows: Sequence[Row] = (document.get(part) or {}).get("rows", ())
    return rows


def _at_most(text: str, limit: float, measured: float | None = None) -> Mark:
    return _mark(text, measured, None if measured is None else measured <= limit)


def _at_least(text: str, limit: float, measured: float | None = None) -> Mark:
    return _mark(text, measured, None if measured is None else measured >= limit)


def _mark(text: str, measured: float | None, reached: bool | None) -> Mark:
    shown = None if measured is None else round(measured, 4)
    return {"mark": text, "measured": shown, "reached": reached}
