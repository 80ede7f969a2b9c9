"""The layouts of data sets that are known, and how one is told from another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rtseg.errors import RecipeError
from rtseg.training.datasets import camvid
from rtseg.training.datasets.samples import Split


@dataclass(frozen=True, slots=True)
class Layout:
    """How one data set lies on the disk.

    name: as recipes have it; title: as people have it; matches: whether a folder has this layout;
    open: (root, split) → its samples, RecipeError for what is not there.
    """

    name: str
    title: str
    splits: tuple[str, ...]
    matches: Callable[[Path], bool]
    open: Callable[[Path, str], Split]


LAYOUTS = (Layout("camvid", "CamVid", camvid.SPLITS, camvid.matches, camvid.open_split),)


def open_split(root: str | Path, split: str, dataset: str | None = None) -> Split:
    """A split of the data set in a folder. dataset: its name; None tells it from the files.

    Raises RecipeError for a name or layout that is not known, and for a split that is not there.
    """
    root = Path(root)
    return _layout(root, dataset).open(root, split)


def _layout(root: Path, dataset: str | None) -> Layout:
    known = ", ".join(layout.name for layout in LAYOUTS)
    for layout in LAYOUTS:
        if layout.name == dataset or (dataset is None and layout.matches(root)):
            return layout
    if dataset is not None:
        raise RecipeError(f"unknown data set {dataset!r}; expected one of {known}")
    raise RecipeError(f"{root} has the layout of no known data set; expected one of {known}")
