"""Images of any size brought to the one size that a batch needs, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from rtseg.classes import IGNORE
from rtseg.training.datasets import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray


def fit(sample: Sample, size: tuple[int, int]) -> Sample:
    """The sample scaled to fit into `size` (height, width), its shape kept, then padded.

    Padding is on the right and below: black, with ignored labels. Labels are nearest.
    """
    height, width = fitting_size(sample.labels.shape, size)
    shrinks = height < sample.labels.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    image = cv2.resize(sample.image, (width, height), interpolation=method)
    labels = cv2.resize(sample.labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    out = np.zeros((*size, 3), np.uint8), np.full(size, IGNORE, np.uint8)
    for canvas, part in zip(out, (image, labels), strict=True):
        canvas[:height, :width] = part
    return Sample(sample.name, *out)


def fitting_size(shape: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the largest picture of that shape within `size`."""
    factor = min(size[0] / shape[0], size[1] / shape[1])
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def planes(sample: Sample) -> NDArray[np.uint8]:
    """(3, H, W) RGB of the sample's image."""
    return np.ascontiguousarray(sample.image[..., ::-1].transpose(2, 0, 1))
