"""One predictor over labelled samples, counted image by image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from rtseg.classes import LabelSet
from rtseg.evaluation.boundary import TOLERANCE, BoundaryScores
from rtseg.metrics import ConfusionMatrix, count_pairs, iou, mean_of_present

if TYPE_CHECKING:
    from numpy.typing import NDArray

Labelled: TypeAlias = "tuple[str, NDArray[np.uint8], NDArray[np.uint8]]"
"""A name, a (H, W, 3) uint8 BGR image, its (H, W) uint8 labels (255 ignored)."""

Predictor: TypeAlias = "Callable[[NDArray[np.uint8]], NDArray[np.uint8]]"
"""(H, W, 3) uint8 BGR image → (H, W) uint8 labels; 255 where there is no answer."""


class Evaluation:
    """What was counted, at the labels' own resolution, for each image.

    names: of the images; resolutions: how many images have labels of that (width, height);
    boundary: their boundary F-scores.
    """

    def __init__(self, classes: LabelSet, *, tolerance: float = TOLERANCE) -> None:
        self.classes = classes
        self.names: list[str] = []
        self.resolutions: Counter[tuple[int, int]] = Counter()
        self.boundary = BoundaryScores(len(classes), tolerance)
        self._counts: list[NDArray[np.int64]] = []

    def __len__(self) -> int:
        return len(self.names)

    def add(self, name: str, truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> None:
        """Count one image: (H, W) uint8 labels and predictions of the same size."""
        self._counts.append(count_pairs(truth, prediction, len(self.classes)))
        self.boundary.add(truth, prediction)
        self.names.append(name)
        self.resolutions[truth.shape[1], truth.shape[0]] += 1

    @property
    def counts(self) -> NDArray[np.int64]:
        """(images, classes, classes + 1) confusion matrices, as in `ConfusionMatrix`."""
        n = len(self.classes)
        return np.array(self._counts, np.int64).reshape(-1, n, n + 1)

    @property
    def matrix(self) -> ConfusionMatrix:
        """One confusion matrix over all images."""
        matrix = ConfusionMatrix(len(self.classes))
        matrix.counts = self.counts.sum(0)
        return matrix

    def image_miou(self) -> NDArray[np.float64]:
        """(images,) mIoU over the classes in each image or its prediction; NaN if unlabelled."""
        return mean_of_present(iou(self.counts))

    def worst(self, count: int) -> list[int]:
        """Places of the `count` images of lowest mIoU, the worst first; unlabelled ones are out."""
        scores = self.image_miou()
        order = np.argsort(scores, kind="stable")  # NaN comes last
        return [int(i) for i in order[:count] if np.isfinite(scores[i])]


def evaluate(
    predict: Predictor,
    samples: Iterable[Labelled],
    classes: LabelSet,
    *,
    tolerance: float = TOLERANCE,
) -> Evaluation:
    """Measure a predictor of `classes` on samples with labels of the same classes."""
    result = Evaluation(classes, tolerance=tolerance)
    for name, image, truth in samples:
        result.add(name, truth, predict(image))
    return result
