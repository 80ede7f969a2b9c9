"""Accuracy of label maps, counted exactly in one confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ConfusionMatrix:
    """Pixel counts, rows the truth and columns the prediction, over all images added.

    Pixels whose truth is no class (the ignore index 255) are left out. A prediction of 255 on a
    labelled pixel ("no answer") counts as wrong: it enters the row's total but no class's column,
    as an ignored id does in Cityscapes' own script (https://github.com/mcordts/cityscapesScripts).
    counts: (classes, classes + 1) int64, the last column those without an answer.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.counts: NDArray[np.int64] = np.zeros((classes, classes + 1), np.int64)

    def add(self, truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> None:
        """Count one pair of (H, W) uint8 label maps of the same size."""
        self.counts += count_pairs(truth, prediction, self.classes)

    def iou(self) -> NDArray[np.float64]:
        """(classes,) intersection over union, 0–1; NaN for a class in neither map.

        Everingham et al. 2010, https://doi.org/10.1007/s11263-009-0275-4, section 4.
        """
        return iou(self.counts)

    def miou(self) -> float:
        """Mean IoU over the classes that occur, 0–1; NaN if nothing was counted."""
        return float(mean_of_present(self.iou()))

    def recall(self) -> NDArray[np.float64]:
        """(classes,) share of each class's pixels that was found, 0–1; NaN where absent.

        This is what is called the accuracy of a class.
        """
        hits = np.diagonal(self.counts).astype(np.float64)
        return _ratio(hits, self.counts.sum(1))

    def mean_accuracy(self) -> float:
        """Mean recall over the classes that are in the truth, 0–1; NaN if nothing was counted."""
        return float(mean_of_present(self.recall()))

    def pixel_accuracy(self) -> float:
        """Share of all labelled pixels that is right, 0–1; NaN if nothing was counted."""
        total = int(self.counts.sum())
        return float(np.trace(self.counts[:, : self.classes]) / total) if total else float("nan")


def count_pairs(
    truth: NDArray[np.uint8], prediction: NDArray[np.uint8], classes: int
) -> NDArray[np.int64]:
    """(classes, classes + 1) counts of a pair of (H, W) uint8 maps, as in `ConfusionMatrix`."""
    if truth.shape != prediction.shape:
        raise ValueError(f"labels of {truth.shape} and predictions of {prediction.shape}")
    labelled = truth < classes
    columns = np.minimum(prediction[labelled], classes).astype(np.int64)
    cells = truth[labelled].astype(np.int64) * (classes + 1) + columns
    counts = np.bincount(cells, minlength=classes * (classes + 1))
    return counts.reshape(classes, classes + 1).astype(np.int64, copy=False)


def iou(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(…, classes, classes + 1) counts → (…, classes) intersection over union, NaN where absent."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1).astype(np.float64)
    return _ratio(hits, counts.sum(-1) + counts[..., :-1].sum(-2) - hits)


def mean_of_present(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(…, n) → (…): the mean of what is not NaN, NaN where there is nothing."""
    present = np.isfinite(values)
    return _ratio(np.where(present, values, 0.0).sum(-1), present.sum(-1))


def _ratio(part: NDArray[np.float64], whole: NDArray[Any]) -> NDArray[np.float64]:
    """part / whole, NaN where there is nothing to divide by."""
    out = np.full(part.shape, np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out
