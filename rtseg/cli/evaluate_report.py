"""What `rtseg eval` prints: scores by class, their means, and where the figures come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rtseg.evaluation.subject import NOT_STATED

if TYPE_CHECKING:
    from rtseg.classes import Label
    from rtseg.evaluation import Comparison, Evaluation, Subject
    from rtseg.evaluation.document import Ground


def print_report(console: Console, subject: Subject, ground: Ground, result: Evaluation) -> None:
    """The table, the means, and the provenance."""
    console.print(class_table(result))
    console.print()
    console.print(means(result), soft_wrap=True)
    console.print(provenance(subject, ground, result))
    warn(console, subject, ground)


def print_comparison(
    console: Console, subject: Subject, other: Subject, ground: Ground, comparison: Comparison,
    *, seed: int,
) -> None:  # fmt: skip
    """What the other model scores, and how the two differ."""
    console.print(f"\n[bold]against {escape(other.name)}[/]")
    console.print(means(comparison.second), soft_wrap=True)
    console.print(provenance(other, ground, comparison.second, data=False))
    warn(console, other, ground)
    console.print()
    console.print(difference_table(subject, other, comparison))
    labelled, everywhere = comparison.agreement()
    value, low, high = (100 * v for v in comparison.miou_difference(seed=seed))
    console.print(
        f"\nequal labels [bold]{100 * labelled:.3f} %[/] of labelled pixels, "
        f"{100 * everywhere:.3f} % of all\n"
        f"mIoU difference [bold]{value:+.2f}[/] points, 95 % interval {low:+.2f} to {high:+.2f} "
        "(bootstrap over images)",
        soft_wrap=True,
    )


def class_table(result: Evaluation) -> Table:
    """IoU, accuracy and boundary F-score by class, in percent."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("class")
    for name in ("IoU %", "accuracy %", "boundary F %"):
        table.add_column(name, justify="right")
    matrix = result.matrix
    columns = (matrix.iou(), matrix.recall(), result.boundary.per_class())
    for label, *values in zip(result.classes, *columns, strict=True):
        table.add_row(swatch(label), *map(percent, values))
    return table


def difference_table(subject: Subject, other: Subject, comparison: Comparison) -> Table:
    """IoU of both by class, in percent, and the difference in points."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("IoU %")
    names = subject.name, other.name
    if subject.name == other.name:
        names = (f"{subject.engine} {subject.precision}", f"{other.engine} {other.precision}")
    for name in (*names, "difference"):
        table.add_column(escape(name), justify="right")
    rows = zip(
        comparison.first.classes, comparison.first.matrix.iou(), comparison.second.matrix.iou(),
        comparison.iou_differences(), strict=True,
    )  # fmt: skip
    for label, first, second, difference in rows:
        points = "–" if difference != difference else f"{100 * difference:+.1f}"
        table.add_row(swatch(label), percent(first), percent(second), points)
    return table


def means(result: Evaluation) -> str:
    """One line: mIoU first."""
    matrix = result.matrix
    return (
        f"[bold]mIoU {percent(matrix.miou(), 2)}[/]  mean accuracy "
        f"{percent(matrix.mean_accuracy(), 2)}  global accuracy "
        f"{percent(matrix.pixel_accuracy(), 2)}  boundary F "
        f"{percent(result.boundary.mean(), 2)} ({result.boundary.tolerance:g} px)"
    )


def provenance(subject: Subject, ground: Ground, result: Evaluation, *, data: bool = True) -> Table:
    """Where the figures come from, line by line."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    count = len(result.classes)
    if data:
        mapped = f"; those of model ({subject.classes.name}) and data are mapped to them"
        table.add_row("data", escape(f"{ground.data} {ground.split}, {len(result)} images"))
        table.add_row("labels", f"{sizes(result)}, their own resolution")
        table.add_row(
            "classes", escape(f"{count} of {result.classes.name}{mapped if ground.mapped else ''}")
        )
    table.add_row("model", escape(f"{subject.name} ({subject.network}), {subject.file}"))
    table.add_row("engine", escape(f"{subject.engine_line()}, input {subject.input_line()}"))
    table.add_row("trained on", escape(", ".join(subject.trained_on) or _unstated(subject)))
    table.add_row("pretraining", escape(subject.pretraining or NOT_STATED))
    table.add_row("val", _seen(subject.saw(ground.data, "val")))
    return table


def warn(console: Console, subject: Subject, ground: Ground) -> None:
    """Says it loudly if the model has seen what it was measured on."""
    if subject.saw(ground.data, ground.split):
        console.print(
            f"[bold red]WARNING: {escape(subject.name)} was trained on {escape(ground.data)} "
            f"{escape(ground.split)}; these figures say nothing about images it has not seen.[/]",
            soft_wrap=True,
        )


def sizes(result: Evaluation) -> str:
    """ "480x360", or how many sizes there are."""
    found = sorted(result.resolutions)
    if len(found) == 1:
        return "x".join(map(str, found[0]))
    low, high = found[0], found[-1]
    return f"{len(found)} sizes from {low[0]}x{low[1]} to {high[0]}x{high[1]}"


def swatch(label: Label) -> str:
    """The class's name behind a square of its colour."""
    r, g, b = label.colour
    return f"[rgb({r},{g},{b})]■[/] {escape(label.name)}"


def percent(value: float, digits: int = 1) -> str:
    """A share in percent, or a dash for NaN."""
    return "–" if value != value else f"{100 * value:.{digits}f}"


def _unstated(subject: Subject) -> str:
    """The sentence of the file instead of a list of splits."""
    sentence = subject.training
    return NOT_STATED if sentence == NOT_STATED else f'{NOT_STATED}; the file says "{sentence}"'


def _seen(seen: bool | None) -> str:
    return {True: "trained on", False: "not trained on", None: NOT_STATED}[seen]
