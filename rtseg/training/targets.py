"""Targets made of label maps: one-hot tensors, and the weights of pixels between near things."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rtseg.classes import IGNORE

if TYPE_CHECKING:
    from numpy.typing import NDArray

REACH = 6
"""Distances beyond 6 sigma count as infinite: exp(-18) is lost beside 1 in float32."""


def one_hot(labels: Tensor, classes: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """(N, H, W) integer labels → (N, C, H, W) of 0 and 1; ignored pixels (255) are all 0.

    Raises ValueError for an id that is neither a class nor 255.
    """
    labelled = labels != IGNORE
    ids = torch.where(labelled, labels.long(), 0)
    if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < classes:
        raise ValueError(
            f"labels {int(ids.min())}–{int(ids.max())}; expected 0–{classes - 1}, or {IGNORE}"
        )
    hot = F.one_hot(ids, classes).permute(0, 3, 1, 2) * labelled[:, None]
    return hot.to(dtype)


def from_one_hot(hot: Tensor) -> Tensor:
    """(N, C, H, W) one-hot → (N, H, W) int64 labels, 255 where no class is set.

    The inverse of `one_hot`, exactly; of soft targets it gives the largest class.
    """
    return torch.where(hot.amax(1) > 0, hot.argmax(1), IGNORE)


def border_weights(
    labels: NDArray[Any],
    things: Collection[int],
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
    class_weights: NDArray[Any] | None = None,
) -> NDArray[np.float32]:
    """(H, W) weights w(x) = w_c(x) + `border_term`(x) of (H, W) labels; 0 where ignored (255).

    w_c: weight of the pixel's own class out of class_weights (C,), 1 without them.
    Ronneberger et al. 2015 (U-Net), https://arxiv.org/abs/1505.04597, equation 2.
    """
    own = np.ones(IGNORE, np.float32)
    if class_weights is not None:
        own[: len(class_weights)] = class_weights
    labelled = labels != IGNORE
    weights = own[np.where(labelled, labels, 0)] + border_term(labels, things, w0=w0, sigma=sigma)
    return np.where(labelled, weights, np.float32(0))


def border_term(
    labels: NDArray[Any], things: Collection[int], *, w0: float = 10.0, sigma: float = 5.0
) -> NDArray[np.float32]:
    """(H, W) term w0 · exp(-(d1 + d2)² / 2 sigma²) of (H, W) integer labels.

    d1 and d2 are the distances in pixels, between pixel centres, to the nearest and to the second
    nearest component; inside a component d1 is 0. A component is a patch of pixels of one class
    among `things` (class ids) that touch at a side or a corner; touching patches of two classes
    are two components. Give the classes that come as countable objects (vehicles, people): roads,
    sky and walls have no neighbour of their kind to be kept apart from. With fewer than two
    components the term is 0.
    """
    nearest = np.full((2, *labels.shape), np.inf, np.float32)  # d1, d2
    reach = int(np.ceil(REACH * sigma))
    for window, distance in _distances(labels, things, reach):
        near, second = nearest[0][window], nearest[1][window]
        np.minimum(second, np.maximum(near, distance), out=second)
        np.minimum(near, distance, out=near)
    term: NDArray[np.float32] = w0 * np.exp(-(nearest.sum(0) ** 2) / (2 * sigma**2))
    return term


def _distances(
    labels: NDArray[Any], things: Collection[int], reach: int
) -> Iterator[tuple[tuple[slice, slice], NDArray[np.float32]]]:
    """Of each component: the window that ends `reach` pixels around it, distances to it there."""
    for thing in sorted(set(things)):
        mask = (labels == thing).astype(np.uint8)
        count, parts, boxes, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        for part in range(1, count):  # 0 is everything else
            x, y, width, height = boxes[part, :4].tolist()
            window = (
                slice(max(0, y - reach), y + height + reach),
                slice(max(0, x - reach), x + width + reach),
            )
            outside = (parts[window] != part).astype(np.uint8)
            yield window, cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
