"""Accuracy of label maps, counted exactly in one confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ConfusionMatrix:
    """Pixel counts, rows the truth and columns the prediction, over all images added.

    Pixels whose truth is no class (the ignore index 255) are left out. A prediction of 255 on a
    labelled pixel ("no answer") counts as wrong: it enters the row's total but no column.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.counts: NDArray[np.int64] = np.zeros((classes, classes + 1), np.int64)

    def add(self, truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> None:
        """Count one pair of (H, W) uint8 label maps of the same size."""
        if truth.shape != prediction.shape:
            raise ValueError(f"labels of {truth.shape} and predictions of {prediction.shape}")
        n = self.classes
        labelled = truth < n
        columns = np.minimum(prediction[labelled], n).astype(np.int64)
        cells = truth[labelled].astype(np.int64) * (n + 1) + columns
        self.counts += np.bincount(cells, minlength=n * (n + 1)).reshape(n, n + 1)

    def iou(self) -> NDArray[np.float64]:
        """(classes,) intersection over union, 0–1; NaN for a class in neither map.

        Everingham et al. 2010, https://doi.org/10.1007/s11263-009-0275-4, section 4.
        """
        hits = np.diagonal(self.counts).astype(np.float64)
        union = self.counts.sum(1) + self.counts[:, : self.classes].sum(0) - hits
        return _ratio(hits, union)

    def miou(self) -> float:
        """Mean IoU over the classes that occur, 0–1; NaN if nothing was counted."""
        iou = self.iou()
        return float(np.nanmean(iou)) if np.isfinite(iou).any() else float("nan")

    def recall(self) -> NDArray[np.float64]:
        """(classes,) share of each class's pixels that was found, 0–1; NaN where absent."""
        total = self.counts.sum(1)
        hits = np.diagonal(self.counts).astype(np.float64)
        return _ratio(hits, total)

    def pixel_accuracy(self) -> float:
        """Share of all labelled pixels that is right, 0–1; NaN if nothing was counted."""
        total = int(self.counts.sum())
        return float(np.trace(self.counts[:, : self.classes]) / total) if total else float("nan")


def _ratio(part: NDArray[np.float64], whole: NDArray[Any]) -> NDArray[np.float64]:
    """part / whole, NaN where there is nothing to divide by."""
    out = np.full(part.shape, np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out
