"""What is to be known about a data set's place on the disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rtseg.classes import LabelSet
from rtseg.errors import RecipeError
from rtseg.training.datasets.decoding import Decode
from rtseg.training.datasets.listing import Listing
from rtseg.training.datasets.samples import Split

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Layout:
    """How one data set lies on the disk. All callables take the folder first.

    name: as recipes have it; title: as people have it. shape: what the folder must hold, for
    messages. matches: whether a folder has this layout. splits: those that are there; listing: the
    files of one; classes: what the train ids mean; decode: a stored label map to train ids.
    """

    name: str
    title: str
    shape: str
    matches: Callable[[Path], bool]
    splits: Callable[[Path], tuple[str, ...]]
    listing: Callable[[Path, str], Listing]
    classes: Callable[[Path], LabelSet]
    decode: Callable[[Path], Decode]

    def open(self, root: Path, split: str) -> Split:
        """Raises RecipeError for a split that is not there, empty, or not whole."""
        self.check(root, split)
        pairs = self.listing(root, split).pairs(f"{root}, split {split}")
        return Split(self.title, split, self.classes(root), pairs, self.decode(root))

    def check(self, root: Path, split: str) -> None:
        """Raises RecipeError unless the folder has this layout and the split."""
        if not self.matches(root):
            raise RecipeError(f"{root} is not {self.title}: expected {self.shape}")
        there = self.splits(root)
        if split not in there:
            raise RecipeError(
                f"unknown {self.title} split {split!r} in {root}; it has {', '.join(there)}"
            )


def always(value: T) -> Callable[[Path], T]:
    """What is the same in every folder of a layout."""
    return lambda _: value
