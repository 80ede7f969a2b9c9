"""`rtseg data weights`: how often each class occurs, and the loss weights that balance them."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from rtseg.cli import options
from rtseg.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.table import Table

    from rtseg.classes import LabelSet
    from rtseg.training.class_weights import ClassCounts
    from rtseg.training.datasets import Split

PAPER_OFFSET = 1.02
"""Offset of the log weights in the ENet paper."""


def weights(
    data: options.Data,
    dataset: options.Dataset = None,
    split: Annotated[
        list[str] | None, typer.Option(help="A split, default train; several add up.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of the table.")
    ] = False,
) -> None:
    """Count the classes of a data set's label maps; show the class weights a recipe can ask for."""
    from rich.console import Console

    from rtseg.training.datasets import open_split

    splits = list(dict.fromkeys(split or ["train"]))
    sets = [open_split(data, name, dataset) for name in splits]
    counts = _count(sets, quiet=as_json)
    if not counts.pixels.any():
        raise InputError(f"{data}: no labelled pixel in {' + '.join(splits)}; nothing to weigh")
    schemes = weights_by_scheme(counts)
    if as_json:
        print(json.dumps(_values(sets[0].classes, counts, splits, schemes), indent=2))
        return
    Console(highlight=False).print(_table(sets[0].classes, counts, schemes))
    images = sum(len(samples) for samples in sets)
    print(f"{counts.pixels.sum()} labelled pixels, {images} images of {' + '.join(splits)}")
    print('For a recipe; "inverse", "median" and "none" go as well, and offset = 1.02 with "log":')
    print('losses = [{ name = "cross_entropy", weight = 1.0, class_weights = "log" }]')


def weights_by_scheme(counts: ClassCounts) -> dict[str, NDArray[np.float32]]:
    """(C,) float32 weights of each scheme, by the name in the table."""
    from rtseg.training import class_weights as cw

    return {
        f"log {cw.LOG_OFFSET:.2f}": cw.log_frequency_weights(counts),
        f"log {PAPER_OFFSET}": cw.log_frequency_weights(counts, offset=PAPER_OFFSET),
        "inverse": cw.inverse_frequency_weights(counts),
        "median": cw.median_frequency_weights(counts),
    }


def _count(sets: list[Split], *, quiet: bool) -> ClassCounts:
    from rich.console import Console
    from rich.progress import track

    from rtseg.training.class_weights import count_classes

    console = Console(stderr=True)
    samples = track(
        chain.from_iterable(sets), "counting", sum(map(len, sets)), console=console, disable=quiet
    )
    return count_classes((sample.labels for sample in samples), len(sets[0].classes))


def _table(
    classes: LabelSet, counts: ClassCounts, schemes: dict[str, NDArray[np.float32]]
) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("class")
    for name in ("pixels", "share %", *schemes):
        table.add_column(name, justify="right")
    for label, pixels, share, *row in zip(
        classes, counts.pixels, counts.share(), *schemes.values(), strict=True
    ):
        r, g, b = label.colour
        table.add_row(
            f"[rgb({r},{g},{b})]■[/] {label.name}",
            str(pixels),
            f"{100 * share:.3f}",
            *(f"{w:.4g}" for w in row),
        )
    return table


def _values(
    classes: LabelSet,
    counts: ClassCounts,
    splits: list[str],
    schemes: dict[str, NDArray[np.float32]],
) -> dict[str, object]:
    """What `--json` prints: lists in the order of `classes`."""
    return {
        "splits": splits,
        "classes": list(classes.names),
        "pixels": counts.pixels.tolist(),
        "images": counts.images.tolist(),
        "share": counts.share().tolist(),
        "weights": {name: values.tolist() for name, values in schemes.items()},
    }
