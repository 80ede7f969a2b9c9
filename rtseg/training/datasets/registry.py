"""The layouts of data sets that are known, and how one is told from another."""

from __future__ import annotations

from pathlib import Path

from rtseg.errors import RecipeError
from rtseg.training.datasets import camvid, camvid32, cityscapes, folder, mapillary
from rtseg.training.datasets.layout import Layout
from rtseg.training.datasets.samples import Split
from rtseg.training.datasets.selection import parse, select

LAYOUTS = (
    camvid.LAYOUT, camvid32.LAYOUT, cityscapes.CITYSCAPES, cityscapes.IDD, cityscapes.BDD100K,
    cityscapes.KITTI, mapillary.LAYOUT, folder.LAYOUT,
)  # fmt: skip


def open_split(root: str | Path, split: str, dataset: str | None = None) -> Split:
    """A split, or a part of one (`selection`), of the data set in a folder.

    dataset: its name; None tells it from the files. Raises RecipeError for a name or layout that is
    not known, and for a split that is not there, empty, or misses files.
    """
    root = Path(root)
    name, sequences, step = parse(split)
    return select(find_layout(root, dataset).open(root, name), sequences, step, split)


def find_layout(root: Path, dataset: str | None = None) -> Layout:
    """The layout of that name, or the one that the folder has. Raises RecipeError."""
    if not root.is_dir():
        raise RecipeError(f"no folder {root}; expected that of a data set")
    known = ", ".join(layout.name for layout in LAYOUTS)
    for layout in LAYOUTS:
        if layout.name == dataset or (dataset is None and layout.matches(root)):
            return layout
    if dataset is not None:
        raise RecipeError(f"unknown data set {dataset!r}; expected one of {known}")
    raise RecipeError(f"{root} has the layout of no known data set; expected one of {known}")
