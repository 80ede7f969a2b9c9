"""`rtseg bench --sweep`: models × sizes × engines × precisions, one table and one plot."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rtseg.backends import BACKENDS
from rtseg.benchmark.comparison import SCHEMA
from rtseg.benchmark.document import medians
from rtseg.benchmark.rounds import AGE, END_TO_END
from rtseg.cli import options
from rtseg.cli.bench_measure import measure
from rtseg.cli.bench_report import store, write
from rtseg.cli.run import Job
from rtseg.errors import EngineError, InputError

KEYS = ("model", "size", "backend", "precision")
Variants = Mapping[str, Sequence[str]]


def parse(texts: Sequence[str]) -> Variants:
    """["model=a,b", …] → the values of each key. Raises InputError."""
    found: dict[str, list[str]] = {}
    for text in texts:
        key, _, values = text.partition("=")
        names = [name.strip() for name in values.split(",") if name.strip()]
        if key not in KEYS or not names:
            raise InputError(f"--sweep {text!r}; expected KEY=A,B with one of {', '.join(KEYS)}")
        found[key] = names
    for size in found.get("size", ()):
        options.parse_size(size)
    for precision in found.get("precision", ()):
        options.parse_precision(precision)
    return found


def run(
    job: Job,
    chosen: tuple[str, ...],
    settings: Mapping[str, Any],
    data: tuple[Path | None, str],
    variants: Variants,
    output: Path | None,
    png: Path | None,
) -> None:
    """Measure all combinations, those that this machine cannot do left out with the reason."""
    console = Console(highlight=False)
    documents, left_out = [], []
    engines = list(_engines(job.engine, variants))
    for engine in engines:
        _check(engine)
    for engine in engines:
        try:
            found = measure(replace(job, engine=engine), chosen, settings, data)
        except EngineError as exc:
            left_out.append({"engine": _name(engine), "why": str(exc)})
            console.print(f"[yellow]left out:[/] {_name(engine)}: {escape(str(exc))}")
            continue
        documents.append(found)
        console.print(f"{len(documents)}  {_label(found)}", soft_wrap=True)
        if output:  # what is measured stays, whatever comes
            store(output, {"schema": SCHEMA, "sweep": documents, "left_out": left_out})
    if not documents:
        raise EngineError("no combination of the sweep could be run; the reasons are above")
    console.print(table(documents))
    if output:
        write(output, {"schema": SCHEMA, "sweep": documents, "left_out": left_out})
    if png:
        plot(documents, png)
        console.print(f"wrote [bold]{escape(str(png))}[/]", soft_wrap=True)


def _engines(first: Mapping[str, Any], variants: Variants) -> Iterator[dict[str, Any]]:
    """Options of each engine: those of the command line, with the combination in their place."""
    for values in itertools.product(*variants.values()):
        engine = {**first, **dict(zip(variants, values, strict=True))}
        if "size" in variants:
            engine["size"] = options.parse_size(engine["size"])
        yield engine


def _check(engine: Mapping[str, Any]) -> None:
    """Raises ModelError, InputError for a combination that no machine can do."""
    from rtseg.model import Model

    model = Model.load(engine["model"])
    if engine["size"]:
        model.check_size(engine["size"])
    if engine["backend"] not in ("auto", *BACKENDS):
        raise InputError(f"backend {engine['backend']!r}; expected auto, {', '.join(BACKENDS)}")


def _name(engine: Mapping[str, Any]) -> str:
    size = "x".join(map(str, engine["size"])) if engine["size"] else "auto"
    return f"{engine['model']} {size} {engine['backend']} {engine['precision']}"


def _label(found: Mapping[str, Any]) -> str:
    engine = found["engine"]
    size = "x".join(map(str, engine["input"]))
    return f"{engine['model']} {size} {engine['backend']} {engine['precision']}"


def table(documents: Sequence[Mapping[str, Any]]) -> Table:
    """A line for each engine: its figures, those of the round with the median rate."""
    out = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("model", "input", "engine"):
        out.add_column(name, no_wrap=True)
    heads = list(_figures(documents[0]))
    for head in heads:
        out.add_column(head, justify="right")
    for found in documents:
        engine, figures = found["engine"], _figures(found)
        size = "x".join(map(str, engine["input"]))
        what = f"{engine['backend']} {engine['precision']}"
        out.add_row(engine["model"], size, what, *(f"{figures[h]:.1f}" for h in heads))
    return out


def _figures(found: Mapping[str, Any]) -> dict[str, float]:
    """What a line of the table shows, by its heading."""
    figures: dict[str, float] = {}
    for name, middle in medians(found):
        stages = middle["stages_ms"]
        if name == "single-stream":
            figures["inference ms"] = stages["inference"]["median"]
            figures["end to end ms"] = stages[END_TO_END]["median"]
            figures["p99"] = stages[END_TO_END]["p99"]
        elif name == "offline":
            figures["offline fps"] = middle["fps"]
        else:
            figures["age ms"] = stages[AGE]["median"]
            figures["late %"] = 100 * middle["late"] / middle["done"]
    if found["accuracy"]:
        figures["mIoU %"] = 100 * found["accuracy"]["miou"]
    return figures


def plot(documents: Sequence[Mapping[str, Any]], path: Path) -> None:
    """mIoU over the network's latency, a line for each model in an engine.

    Raises EngineError without matplotlib, OutputError.
    """
    from rtseg.training.pictures import new_figure, save

    figure = new_figure(8.0, 5.0)
    axes = figure.subplots()
    lines: dict[str, list[tuple[float, float]]] = {}
    for found in documents:
        engine, middle = found["engine"], next(iter(medians(found)))[1]
        point = middle["stages_ms"]["inference"]["median"], 100 * found["accuracy"]["miou"]
        name = f"{engine['model']}, {engine['backend']} {engine['precision']}"
        lines.setdefault(name, []).append(point)
        size = "x".join(map(str, engine["input"]))
        axes.annotate(size, point, xytext=(6, -12), textcoords="offset points", fontsize=9)
    for name, points in lines.items():
        axes.plot(*zip(*sorted(points), strict=True), "o-", markersize=7, linewidth=1, label=name)
    axes.legend(loc="lower right")
    scenario, accuracy = next(iter(documents[0]["scenarios"])), documents[0]["accuracy"]
    axes.set_xscale("log")
    axes.margins(0.15)
    axes.set_xlabel(f"ms an inference, median, {scenario}, {documents[0]['machine']['cpu']}")
    axes.set_ylabel(f"{accuracy['data']} {accuracy['split']} mIoU in %")
    axes.grid(alpha=0.3, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)
