"""Everything that is wrong with a data set, found in one pass over its files."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from rtseg.errors import RecipeError
from rtseg.training.class_weights import ClassCounts, count_classes
from rtseg.training.datasets.layout import Layout
from rtseg.training.datasets.listing import Listing
from rtseg.training.datasets.samples import Pair, Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind: TypeAlias = Literal[
    "image missing", "label map missing", "image unreadable", "label map unusable",
    "sizes differ", "in two splits",
]  # fmt: skip


class Finding(NamedTuple):
    """One thing that is wrong. what: the file, or the name of a sample; detail: what about it."""

    kind: Kind
    split: str
    what: str
    detail: str


@dataclass(slots=True)
class SplitReport:
    """What a split holds. names: listed; images: whole samples; sizes: (width, height) of these."""

    split: str
    names: int
    images: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    counts: ClassCounts | None = None
    findings: list[Finding] = field(default_factory=list)


class Checker:
    """Checks the splits of a data set, one after the other."""

    def __init__(self, layout: Layout, root: Path) -> None:
        self.layout, self.root = layout, root
        self.classes = layout.classes(root)
        self.decode = layout.decode(root)
        self._seen: dict[bytes, tuple[str, str]] = {}  # pixels → split and name

    def listing(self, split: str) -> Listing:
        """Raises RecipeError for a split that is not there."""
        self.layout.check(self.root, split)
        return self.layout.listing(self.root, split)

    def steps(self, listing: Listing, report: SplitReport) -> Iterator[None]:
        """Fill the report, one sample a step."""
        total = np.zeros((3, len(self.classes)), np.int64)
        for name in listing.names:
            labels = self._sample(name, listing, report)
            if labels is not None:
                found = count_classes([labels], len(self.classes))
                total += np.stack([found.pixels, found.images, found.area])
            yield
        report.counts = ClassCounts(*total)

    def _sample(self, name: str, listing: Listing, report: SplitReport) -> NDArray[np.uint8] | None:
        """The label map of a whole sample; else None, and what is wrong is in the report."""
        image, labels = listing.images.get(name), listing.labels.get(name)
        if image is None or labels is None:
            kind: Kind = "image missing" if image is None else "label map missing"
            report.findings.append(Finding(kind, report.split, name, f"beside {image or labels}"))
            return None
        one = Split(
            self.layout.title, report.split, self.classes, (Pair(name, image, labels),), self.decode
        )
        return self._read(one, report)

    def _read(self, one: Split, report: SplitReport) -> NDArray[np.uint8] | None:
        pair = one.pairs[0]
        pixels = _tried(lambda: one.image(0), "image unreadable", pair.image, report)
        labels = _tried(lambda: one.labels(0), "label map unusable", pair.labels, report)
        if pixels is not None:
            self._remember(pixels, pair, report)
        if pixels is None or labels is None:
            return None
        sizes = [f"{a.shape[1]}x{a.shape[0]}" for a in (pixels, labels)]
        if sizes[0] != sizes[1]:
            detail = f"image {sizes[0]}, label map {sizes[1]}"
            report.findings.append(Finding("sizes differ", report.split, str(pair.image), detail))
            return None
        report.images += 1
        report.sizes[pixels.shape[1], pixels.shape[0]] += 1
        return labels

    def _remember(self, pixels: NDArray[np.uint8], pair: Pair, report: SplitReport) -> None:
        key = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()
        split, name = self._seen.setdefault(key, (report.split, pair.name))
        if split != report.split:
            detail = f"the same picture as {name} in {split}"
            report.findings.append(Finding("in two splits", report.split, str(pair.image), detail))


def _tried(
    read: Callable[[], NDArray[np.uint8]], kind: Kind, path: Path, report: SplitReport
) -> NDArray[np.uint8] | None:
    try:
        return read()
    except RecipeError as exc:
        detail = str(exc).removeprefix(f"cannot read {path}: ").removeprefix(f"{path}: ")
        report.findings.append(Finding(kind, report.split, str(path), detail))
        return None
