"""`rtseg data show`: a contact sheet of labelled images, as they are or as training sees them."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtseg.cli import options
from rtseg.errors import EngineError, InputError, OutputError

if TYPE_CHECKING:
    from rtseg.classes import LabelSet
    from rtseg.training.datasets import Sample, Split
    from rtseg.training.recipe import Recipe

RECIPE = "dilanet-m"
"""Whose augmentation is shown if no recipe is named."""


def show(
    data: options.Data,
    dataset: options.Dataset = None,
    split: Annotated[str, typer.Option(help="A split, or a part: val::5.")] = "train",
    augment: Annotated[
        bool, typer.Option("--augment", help="Add augmented versions, as training makes them.")
    ] = False,
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"Recipe of --augment, or a file; default {RECIPE}."),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override the recipe.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=60, help="Images to show.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Which images, and what is drawn.")] = 0,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The PNG to write.")
    ] = Path("sheet.png"),
    yes: options.Yes = False,
    no: options.No = False,
) -> None:
    """Draw labelled images and their augmented versions as one PNG."""
    from rtseg.files import write_atomically
    from rtseg.training.datasets import open_split

    settings = _settings(recipe, overrides or []) if augment else None
    if settings is None and (recipe or overrides):
        raise InputError("--recipe and --set say what --augment draws; add --augment")
    samples = open_split(data, split, dataset)
    _check(output, data, yes=yes, no=no)
    shown = pick(samples, count, seed)
    title = f"{samples.title} {split}: {len(shown)} of {len(samples)} images, seed {seed}"
    write_atomically(output, _sheet(shown, samples.classes, title, settings, seed))
    print(f"{output}: {title}")


def pick(samples: Split, count: int, seed: int) -> list[Sample]:
    """`count` samples drawn by `seed`, or all if there are fewer, in their order."""
    places = random.Random(seed).sample(range(len(samples)), min(count, len(samples)))
    return [samples[place] for place in sorted(places)]


def _settings(recipe: str | None, overrides: Sequence[str]) -> Recipe:
    from rtseg.training.recipe_files import load_recipe

    return load_recipe(recipe or RECIPE, overrides)


def _check(output: Path, data: Path, *, yes: bool, no: bool) -> None:
    """Raises OutputError unless `output` is a PNG that may be written, and no file of the data."""
    from rtseg.video.output import check_output

    if output.suffix.lower() != ".png":
        raise OutputError(f"{output} is no .png; the sheet is a PNG: give a name that ends in .png")
    check_output(output, inputs=list(data.glob("*/*")), overwrite=None)
    options.may_overwrite([output], yes=yes, no=no)


def _sheet(
    shown: Sequence[Sample], classes: LabelSet, title: str, recipe: Recipe | None, seed: int
) -> bytes:
    """The sheet as PNG; with a recipe each sample is followed by its augmented versions."""
    from rtseg.training.contact_sheet import contact_sheet

    rows, lines = [[sample] for sample in shown], [title]
    if recipe is not None:
        try:
            from rtseg.training.augmentation.preview import description, versions
        except ImportError as exc:
            raise EngineError(f'--augment needs torch ({exc}); pip install "rtseg[train]"') from exc
        lines += description(recipe)
        rows = [[s, *v] for s, v in zip(shown, versions(shown, recipe, seed), strict=True)]
    file = io.BytesIO()
    contact_sheet(rows, classes, lines).save(file, "PNG")
    return file.getvalue()
