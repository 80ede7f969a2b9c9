"""The boundary F-score: how well the outlines of the classes are met."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rtseg.classes import IGNORE
from rtseg.metrics import mean_of_present

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE = 3
"""Pixels that an outline may be off, by default."""


class BoundaryScores:
    """Boundary F-scores of each image and class, with a tolerance in pixels.

    Csurka et al. 2013, "What is a good evaluation measure for semantic segmentation?" (BMVC,
    https://doi.org/10.5244/C.27.32), section 3; the F-measure of contours is that of Martin et al.
    2004 (https://doi.org/10.1109/TPAMI.2004.1273918), taken up by Perazzi et al. 2016
    (https://doi.org/10.1109/CVPR.2016.85).

    A pixel is on the boundary of its class if one of its four neighbours has another class.
    Precision of a class is the share of its predicted boundary pixels that lie within the tolerance
    (Euclidean, inclusive) of a true one; recall is the same the other way round; F is
    2 P R / (P + R). Where only one of the maps has a boundary of the class, F is 0; where none has,
    the image does not count for this class. Scores are averaged over images for each class, then
    over the classes (Csurka et al. average the classes of an image first).

    Pixels without a true label are taken out of both maps. The step from a class to them is no
    boundary, nor is the edge of the image.
    """

    def __init__(self, classes: int, tolerance: float = TOLERANCE) -> None:
        self.classes, self.tolerance = classes, tolerance
        self.images: list[NDArray[np.float64]] = []

    def add(self, truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> None:
        """Score one pair of (H, W) uint8 label maps of the same size."""
        self.images.append(boundary_f(truth, prediction, self.classes, self.tolerance))

    def per_class(self) -> NDArray[np.float64]:
        """(classes,) mean F over images, 0–1; NaN for a class without any boundary."""
        images = np.array(self.images).reshape(-1, self.classes)
        return mean_of_present(images.T)

    def mean(self) -> float:
        """Mean over the classes that have boundaries, 0–1; NaN if there is none."""
        return float(mean_of_present(self.per_class()))


def boundary_f(
    truth: NDArray[np.uint8],
    prediction: NDArray[np.uint8],
    classes: int,
    tolerance: float = TOLERANCE,
) -> NDArray[np.float64]:
    """(classes,) F-scores of one pair of (H, W) uint8 maps; NaN where neither has a boundary."""
    if truth.shape != prediction.shape:
        raise ValueError(f"labels of {truth.shape} and predictions of {prediction.shape}")
    known = np.where(truth < classes, truth, np.uint8(IGNORE))
    found = np.where((truth < classes) & (prediction < classes), prediction, np.uint8(IGNORE))
    outlines = [np.where(boundary(m), m, np.uint8(IGNORE)) for m in (known, found)]
    recall = _share_near(outlines[0], outlines[1], classes, tolerance)
    precision = _share_near(outlines[1], outlines[0], classes, tolerance)
    absent = np.isnan(recall) & np.isnan(precision)
    recall, precision = np.nan_to_num(recall), np.nan_to_num(precision)
    total = recall + precision
    f = 2 * precision * recall / np.where(total > 0, total, 1.0)
    return np.where(absent, np.nan, f)


def boundary(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(H, W): where a pixel of a class has a neighbour (of four) of another class."""
    edge = np.zeros(labels.shape, np.bool_)
    down = _step(labels[1:], labels[:-1])
    edge[1:] |= down
    edge[:-1] |= down
    right = _step(labels[:, 1:], labels[:, :-1])
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    return edge


def _step(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.bool_]:
    step: NDArray[np.bool_] = (a != b) & (a != IGNORE) & (b != IGNORE)
    return step


def _share_near(
    own: NDArray[np.uint8], other: NDArray[np.uint8], classes: int, tolerance: float
) -> NDArray[np.float64]:
    """(classes,) share of the pixels of one outline that have the other's of their class near.

    own, other: (H, W) class ids on outlines, 255 elsewhere. NaN for a class without an outline.
    """
    radius = int(tolerance)
    padded = np.pad(other, radius, constant_values=IGNORE)
    y, x = np.nonzero(own != IGNORE)
    ids = own[y, x]
    places = (y + radius) * padded.shape[1] + x + radius
    met, flat = np.zeros(ids.shape, np.bool_), padded.ravel()
    for dy, dx in disc(tolerance):
        met |= flat[places + (dy * padded.shape[1] + dx)] == ids
    count = np.bincount(ids, minlength=classes)
    share = np.bincount(ids[met], minlength=classes) / np.maximum(count, 1)
    return np.where(count > 0, share, np.nan)


def disc(radius: float) -> list[tuple[int, int]]:
    """The steps (dy, dx) that are at most `radius` pixels long."""
    reach = range(-int(radius), int(radius) + 1)
    return [(dy, dx) for dy in reach for dx in reach if dy * dy + dx * dx <= radius * radius]
