"""Two predictors on the same images: how often they agree, and by how much their mIoU differs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rtseg.classes import LabelSet
from rtseg.evaluation.boundary import TOLERANCE
from rtseg.evaluation.measuring import Evaluation, Labelled, Predictor
from rtseg.metrics import iou, mean_of_present

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 2000
"""Of the bootstrap, by default."""

CHUNK = 100
"""Resamples that are summed at once: a matrix of counts for each is in memory."""


class Interval(NamedTuple):
    """An estimate, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class Comparison:
    """Two evaluations, image by image, and the pixels on which the two say the same.

    labelled, everywhere: (pixels that are equal, pixels) where there is a true label, and in all.
    A pixel without an answer equals one without an answer.
    """

    def __init__(self, classes: LabelSet, *, tolerance: float = TOLERANCE) -> None:
        self.first = Evaluation(classes, tolerance=tolerance)
        self.second = Evaluation(classes, tolerance=tolerance)
        self.labelled, self.everywhere = (0, 0), (0, 0)

    def add(
        self,
        name: str,
        truth: NDArray[np.uint8],
        first: NDArray[np.uint8],
        second: NDArray[np.uint8],
    ) -> None:
        """Count one image: (H, W) uint8 labels and both predictions."""
        self.first.add(name, truth, first)
        self.second.add(name, truth, second)
        equal, known = first == second, truth < len(self.first.classes)
        self.labelled = (
            self.labelled[0] + int((equal & known).sum()),
            self.labelled[1] + int(known.sum()),
        )
        self.everywhere = self.everywhere[0] + int(equal.sum()), self.everywhere[1] + equal.size

    def agreement(self) -> tuple[float, float]:
        """Share of equal labels, 0–1, on labelled pixels and on all; NaN where there are none."""
        return _share(*self.labelled), _share(*self.everywhere)

    def iou_differences(self) -> NDArray[np.float64]:
        """(classes,) IoU of the first less that of the second, −1 to 1."""
        return self.first.matrix.iou() - self.second.matrix.iou()

    def miou_difference(self, *, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
        """mIoU of the first less that of the second, −1 to 1, with its 95 % interval.

        The percentile bootstrap over images: each resample draws as many images as there are, with
        replacement and the same ones for both (Efron 1979,
        https://doi.org/10.1214/aos/1176344552). Images of one drive resemble each other, and the
        bootstrap takes them for independent: the true interval is wider.
        """
        value = self.first.matrix.miou() - self.second.matrix.miou()
        drawn = _resampled(self.first.counts, self.second.counts, resamples, seed)
        drawn = drawn[np.isfinite(drawn)]
        if not drawn.size:
            return Interval(value, float("nan"), float("nan"))
        low, high = np.percentile(drawn, [2.5, 97.5])
        return Interval(value, float(low), float(high))


def compare(
    first: Predictor,
    second: Predictor,
    samples: Iterable[Labelled],
    classes: LabelSet,
    *,
    tolerance: float = TOLERANCE,
) -> Comparison:
    """Measure two predictors of `classes` on the same samples, each of which is read once."""
    result = Comparison(classes, tolerance=tolerance)
    for name, image, truth in samples:
        result.add(name, truth, first(image), second(image))
    return result


def _resampled(
    first: NDArray[np.int64], second: NDArray[np.int64], resamples: int, seed: int
) -> NDArray[np.float64]:
    """(resamples,) differences of mIoU of (images, C, C + 1) counts."""
    rng, images = np.random.default_rng(seed), len(first)
    out = []
    for start in range(0, resamples, CHUNK):
        rows = min(CHUNK, resamples - start)
        times = rng.multinomial(images, np.full(images, 1 / max(images, 1)), rows)
        times = times.astype(np.float64)  # exact below 2^53, and faster than integers
        a, b = (
            mean_of_present(iou(np.tensordot(times, counts.astype(np.float64), 1)))
            for counts in (first, second)
        )
        out.append(a - b)
    return np.concatenate(out)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
