"""What a run trains on: several splits and rendered frames, one after the other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from rtseg.classes import CAMVID, LabelSet
from rtseg.errors import RecipeError
from rtseg.synthetic import labelled_frames
from rtseg.training.datasets import Sample, Split, open_split
from rtseg.training.datasets.registry import find_layout
from rtseg.training.provenance import Provenance, read_provenance
from rtseg.training.recipe import Recipe
from rtseg.training.sources import Samples


class Rendered:
    """`count` synthetic frames of `size` (height, width) with CamVid's classes, drawn at once."""

    def __init__(self, count: int, size: tuple[int, ...], seed: int) -> None:
        frames = labelled_frames(count, size[1], size[0], seed=seed)
        self.samples = [Sample(f"rendered-{i}", *pair) for i, pair in enumerate(frames)]

    @property
    def names(self) -> Sequence[str]:
        return [sample.name for sample in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


class Joined:
    """Samples of several parts under one numbering."""

    def __init__(self, parts: Sequence[Samples]) -> None:
        self.parts = parts
        self.starts = list(accumulate((len(part) for part in parts), initial=0))

    @property
    def names(self) -> Sequence[str]:
        return [name for part in self.parts for name in part.names]

    def __len__(self) -> int:
        return self.starts[-1]

    def __getitem__(self, index: int) -> Sample:
        part = bisect_right(self.starts, index) - 1
        return self.parts[part][index - self.starts[part]]


def open_training(recipe: Recipe, data: Path) -> tuple[Samples, LabelSet]:
    """The images a recipe trains on, and their classes. Raises RecipeError."""
    splits = [open_split(data, split, recipe.data) for split in recipe.splits]
    classes = splits[0].classes
    _check_classes(recipe, classes, data)
    parts: list[Samples] = list(splits)
    if recipe.rendered:
        parts.append(_rendered(recipe, splits[0]))
    return Joined(parts), classes


def provenance(recipe: Recipe, data: Path) -> Provenance:
    """What the weights of a recipe will have seen, that of the weights it starts from included."""
    title = find_layout(data, recipe.data).title
    seen = [f"{title} {split}" for split in recipe.splits]
    if recipe.rendered:
        seen.append("rtseg.synthetic")
    if recipe.weights is None:
        return Provenance(tuple(seen), "none")
    before = read_provenance(Path(recipe.weights))
    start = before.pretraining or f"weights of {recipe.weights}"
    return Provenance(tuple(dict.fromkeys((*before.trained_on, *seen))), start)


def _rendered(recipe: Recipe, split: Split) -> Rendered:
    if split.classes != CAMVID:
        raise RecipeError(
            f"rendered frames have the classes of {CAMVID.name}, the data those of "
            f"{split.classes.name}; set rendered = 0"
        )
    size = recipe.size or split.labels(0).shape
    return Rendered(recipe.rendered, size, recipe.seed)


def _check_classes(recipe: Recipe, found: LabelSet, data: Path) -> None:
    if recipe.classes not in (None, found.name):
        raise RecipeError(
            f"{data} has the classes {found.name}; the recipe expects {recipe.classes}"
        )
