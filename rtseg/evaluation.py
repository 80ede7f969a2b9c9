"""Accuracy of a deployed model, through the same engine and kernels as `rtseg run`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rtseg.metrics import ConfusionMatrix
from rtseg.segmenter import Segmenter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def evaluate(
    segmenter: Segmenter, samples: Iterable[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]]
) -> ConfusionMatrix:
    """One confusion matrix over all samples (name, BGR image, labels), at the labels' size."""
    matrix = ConfusionMatrix(len(segmenter.model.classes))
    for _, image, truth in samples:
        matrix.add(truth, segmenter(image).labels)
    return matrix
