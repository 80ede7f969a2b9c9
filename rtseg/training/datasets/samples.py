"""Labelled images: one sample, a sequence of them, and all of them as two arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Sample(NamedTuple):
    """name; image (H, W, 3) uint8 BGR; labels (H, W) uint8 train ids, 255 ignored."""

    name: str
    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]


class Samples(Protocol):
    """A split of a data set."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Sample]: ...


def stack(samples: Iterable[Sample]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """All samples, which must share one size: (N, 3, H, W) RGB and (N, H, W) labels, uint8."""
    images, labels = [], []
    for sample in samples:
        images.append(np.ascontiguousarray(sample.image[..., ::-1].transpose(2, 0, 1)))
        labels.append(sample.labels)
    return np.stack(images), np.stack(labels)
