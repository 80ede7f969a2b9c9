"""Labelled images: one sample, the samples of a split, and all of them as two arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from rtseg.classes import LabelSet
from rtseg.errors import RecipeError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Sample(NamedTuple):
    """name; image (H, W, 3) uint8 BGR; labels (H, W) uint8 train ids, 255 ignored."""

    name: str
    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]


class Pair(NamedTuple):
    """The files of one sample. name: unique in its split, relative and without suffix."""

    name: str
    image: Path
    labels: Path


@dataclass(frozen=True, slots=True)
class Split:
    """Samples of a data set, read when they are asked for.

    title: of the data set, for people; split: as it was asked for. decode: a stored label map, as
    Pillow opens it, to (H, W) uint8 train ids; it raises ValueError for what the set does not have.

    Reading raises RecipeError naming the file: unreadable, foreign ids, sizes that differ.
    """

    title: str
    split: str
    classes: LabelSet
    pairs: tuple[Pair, ...]
    decode: Callable[[Image.Image], NDArray[np.uint8]]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(pair.name for pair in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int) -> Sample:
        image, labels = self.image(index), self.labels(index)
        if labels.shape != image.shape[:2]:
            raise RecipeError(
                f"{self.pairs[index].image} is {image.shape[1]}x{image.shape[0]}, its labels "
                f"{self.pairs[index].labels} are {labels.shape[1]}x{labels.shape[0]}; expected "
                "the same size"
            )
        return Sample(self.pairs[index].name, image, labels)

    def image(self, index: int) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 BGR."""
        rgb = _read(self.pairs[index].image, lambda file: np.asarray(file.convert("RGB")))
        return np.ascontiguousarray(rgb[..., ::-1])

    def labels(self, index: int) -> NDArray[np.uint8]:
        """(H, W) uint8 train ids, 255 ignored."""
        return _read(self.pairs[index].labels, self.decode)


def stack(samples: Iterable[Sample]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """All samples, which must share one size: (N, 3, H, W) RGB and (N, H, W) labels, uint8."""
    images, labels = [], []
    for sample in samples:
        images.append(np.ascontiguousarray(sample.image[..., ::-1].transpose(2, 0, 1)))
        labels.append(sample.labels)
    return np.stack(images), np.stack(labels)


def _read(path: Path, convert: Callable[[Image.Image], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Raises RecipeError naming the file."""
    try:
        with Image.open(path) as file:
            return convert(file)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as exc:
        raise RecipeError(f"cannot read {path}: {exc}; expected an image") from exc
    except ValueError as exc:
        raise RecipeError(f"{path}: {exc}") from exc
