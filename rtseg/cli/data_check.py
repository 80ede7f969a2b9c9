"""`rtseg data check`: what is wrong with a data set, and what is in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtseg.cli import options

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from rtseg.classes import LabelSet
    from rtseg.training.datasets.checking import Checker, Finding, SplitReport

SHOWN = 5
"""Findings of a kind that are named."""


def check(
    data: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the data set.")],
    dataset: options.Dataset = None,
    split: Annotated[
        list[str] | None, typer.Option(help="A split; several are allowed. Default: all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Find missing pairs, wrong sizes, unknown ids, unreadable files, images in two splits.

    Exit code 0: nothing found; 1: something found; 2: no data set that is known.
    """
    from rich.console import Console

    from rtseg.training.datasets.checking import Checker
    from rtseg.training.datasets.registry import find_layout

    layout = find_layout(data, dataset)
    checker = Checker(layout, data)
    reports = _checked(checker, list(split or layout.splits(data)), quiet=as_json)
    if as_json:
        print(json.dumps(_values(checker, reports), indent=2))
    else:
        _show(Console(highlight=False), checker, reports)
    if any(report.findings for report in reports):
        raise typer.Exit(1)


def _checked(checker: Checker, splits: Sequence[str], *, quiet: bool) -> list[SplitReport]:
    from rich.console import Console
    from rich.progress import track

    from rtseg.training.datasets.checking import SplitReport

    reports, console = [], Console(stderr=True)
    for split in splits:
        listing = checker.listing(split)
        report = SplitReport(split, len(listing.names))
        steps = checker.steps(listing, report)
        for _ in track(steps, split, len(listing.names), console=console, disable=quiet):
            pass
        reports.append(report)
    return reports


def _show(console: Console, checker: Checker, reports: Sequence[SplitReport]) -> None:
    from rich.markup import escape

    title = f"{checker.layout.title} in {checker.root}"
    console.print(f"[bold]{escape(title)}[/], {len(checker.classes)} classes")
    for report in reports:
        sizes = ", ".join(f"{w}x{h}" for (w, h), _ in report.sizes.most_common(3))
        more = " and others" if len(report.sizes) > 3 else ""
        console.print(f"{report.split}: {report.images} images {sizes}{more}", soft_wrap=True)
    console.print()
    console.print(frequencies(checker.classes, reports))
    console.print()
    findings = [finding for report in reports for finding in report.findings]
    for line in grouped(findings):
        console.print(escape(line), soft_wrap=True)
    count = len(findings)
    console.print(f"[red]{count} findings[/]" if count else "[green]nothing wrong[/]")


def grouped(findings: Sequence[Finding]) -> list[str]:
    """Lines that name the first findings of each kind, and count the rest."""
    lines = []
    for kind in dict.fromkeys(finding.kind for finding in findings):
        same = [finding for finding in findings if finding.kind == kind]
        lines.append(f"{kind}: {len(same)}")
        lines += [f"  {f.split}: {f.what}: {f.detail}" for f in same[:SHOWN]]
        if len(same) > SHOWN:
            lines.append(f"  … and {len(same) - SHOWN} more (--json lists all)")
    return lines


def frequencies(classes: LabelSet, reports: Sequence[SplitReport]) -> Table:
    """Share of the labelled pixels of each class, in percent, for each split."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("class")
    for report in reports:
        table.add_column(f"{report.split} %", justify="right")
    shares = [report.counts.share() for report in reports if report.counts is not None]
    for label in classes:
        r, g, b = label.colour
        cells = (f"{100 * share[label.id]:.2f}" for share in shares)
        table.add_row(f"[rgb({r},{g},{b})]■[/] {label.name}", *cells)
    return table


def _values(checker: Checker, reports: Sequence[SplitReport]) -> dict[str, Any]:
    """What --json prints: all findings, and pixels of each class in their order."""
    return {
        "data": checker.layout.name,
        "classes": list(checker.classes.names),
        "splits": [
            {
                "split": report.split,
                "listed": report.names,
                "images": report.images,
                "sizes": {f"{w}x{h}": n for (w, h), n in report.sizes.items()},
                "pixels": report.counts.pixels.tolist() if report.counts else [],
                "findings": [finding._asdict() for finding in report.findings],
            }
            for report in reports
        ],
    }
