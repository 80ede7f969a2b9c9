"""How often each class occurs, and loss weights that balance rare classes, with numpy alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rtseg.classes import IGNORE
from rtseg.errors import RecipeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOG_OFFSET = 1.10
"""Offset of the log weights, milder than the 1.02 of the ENet paper."""


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Counts of the C classes over a set of label maps, each (C,) int64.

    pixels: pixels of the class; images: label maps that have it; area: pixels of those label maps,
    the ignored ones included.
    """

    pixels: NDArray[np.int64]
    images: NDArray[np.int64]
    area: NDArray[np.int64]

    def share(self) -> NDArray[np.float64]:
        """(C,) share of each class in the labelled pixels, 0–1; all 0 if nothing is labelled."""
        return self.pixels / max(1, int(self.pixels.sum()))


def count_classes(label_maps: Iterable[NDArray[Any]], classes: int) -> ClassCounts:
    """Count label maps of integers, each (H, W), with ids 0 … classes-1 and 255 for ignored.

    Raises RecipeError for any other id.
    """
    pixels, images, area = np.zeros((3, classes), np.int64)
    for labels in label_maps:
        found = _histogram(labels, classes)
        pixels += found
        images += found > 0
        area += np.where(found > 0, labels.size, 0)
    return ClassCounts(pixels, images, area)


def log_frequency_weights(
    counts: ClassCounts, *, offset: float = LOG_OFFSET
) -> NDArray[np.float32]:
    """(C,) weights 1 / ln(offset + p) with p the class's share of the labelled pixels.

    An absent class gets 1 / ln(offset), the largest weight there is. offset: more than 1.
    Paszke et al. 2016 (ENet), https://arxiv.org/abs/1606.02147, section 5.2, with 1.02.
    """
    return (1 / np.log(offset + counts.share())).astype(np.float32)


def inverse_frequency_weights(counts: ClassCounts) -> NDArray[np.float32]:
    """(C,) weights 1 / (K p) with p as above and K the number of classes present.

    Every class then has the same part in the loss, and the mean weight of a labelled pixel is 1.
    An absent class gets the largest weight of those present, or 1 if nothing is labelled.
    """
    present = counts.pixels > 0
    return _fill(1 / (present.sum() * counts.share()[present]), present)


def median_frequency_weights(counts: ClassCounts) -> NDArray[np.float32]:
    """(C,) weights median(f) / f, f(c) = pixels of c / all pixels of the images that have c.

    The median is over the classes present; an absent class is treated as by inverse frequency.
    Eigen & Fergus 2015, https://arxiv.org/abs/1411.4734; the definition of f is that
    of SegNet, Badrinarayanan et al. 2015, https://arxiv.org/abs/1511.00561.
    """
    present = counts.pixels > 0
    if not present.any():
        return _fill(np.ones(0), present)
    frequency = counts.pixels[present] / counts.area[present]
    return _fill(np.median(frequency) / frequency, present)


def _histogram(labels: NDArray[Any], classes: int) -> NDArray[np.int64]:
    labelled = labels[labels != IGNORE]
    if labelled.size and not 0 <= labelled.min() <= labelled.max() < classes:
        raise RecipeError(
            f"a label map with ids {labelled.min()}–{labelled.max()}; expected 0–{classes - 1}, "
            f"and {IGNORE} for ignored pixels"
        )
    return np.bincount(labelled, minlength=classes).astype(np.int64)


def _fill(weights: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(C,) weights out of those of the classes present; the others get the largest."""
    out = np.full(present.shape, weights.max(initial=0) or 1.0, np.float32)
    out[present] = weights
    return out
