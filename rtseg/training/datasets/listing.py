"""Which images and label maps a split has, before any of them is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rtseg.errors import RecipeError
from rtseg.training.datasets.samples import Pair


class Listing(NamedTuple):
    """names: of the samples, in order. images, labels: their files, those that exist."""

    names: tuple[str, ...]
    images: Mapping[str, Path]
    labels: Mapping[str, Path]

    def without(self, files: Mapping[str, Path]) -> list[str]:
        """Names that have no file among these."""
        return [name for name in self.names if name not in files]

    def pairs(self, what: str) -> tuple[Pair, ...]:
        """All samples. Raises RecipeError for one that is not whole, and if there is none.

        what: the split, for the message.
        """
        if not self.names:
            raise RecipeError(f"{what} is empty: no image and no label map was found")
        for kind, there, other in (
            ("image", self.images, self.labels),
            ("label map", self.labels, self.images),
        ):
            missing = self.without(there)
            if missing:
                beside = other.get(missing[0])
                of = f" for {beside}" if beside else f" {missing[0]}"
                raise RecipeError(
                    f"{what}: no {kind}{of} ({len(missing)} of {len(self.names)} are missing); "
                    "rtseg data check lists them"
                )
        return tuple(Pair(name, self.images[name], self.labels[name]) for name in self.names)


def found(folder: Path, *endings: str) -> dict[str, Path]:
    """Files below a folder, by their relative path without the ending; the first ending wins."""
    files: dict[str, Path] = {}
    for ending in endings:
        for path in sorted(folder.rglob(f"*{ending}")):
            files.setdefault(path.relative_to(folder).as_posix().removesuffix(ending), path)
    return files


def matched(images: Mapping[str, Path], labels: Mapping[str, Path]) -> Listing:
    """Files of the same names belong together."""
    return Listing(tuple(sorted(images.keys() | labels.keys())), images, labels)


def subfolders(folder: Path, order: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the folders in a folder, those of `order` first."""
    there = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()
    return (*(n for n in order if n in there), *sorted(there - set(order)))
