"""The loss of a recipe: the weighted sum of its terms."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from rtseg.classes import LabelSet
from rtseg.errors import InputError, RecipeError
from rtseg.training.class_weights import (
    LOG_OFFSET,
    ClassCounts,
    inverse_frequency_weights,
    log_frequency_weights,
    median_frequency_weights,
)
from rtseg.training.loss_regions import lovasz_softmax, soft_dice
from rtseg.training.loss_terms import (
    Border,
    CrossEntropy,
    Dice,
    Focal,
    LossTerm,
    Lovasz,
    Ohem,
    WeightedTerm,
)
from rtseg.training.losses import at_labels, cross_entropy, focal, ohem_cross_entropy
from rtseg.training.targets import border_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]


class LossSum:
    """Σ weight · loss over the terms of a recipe.

    counts: of the training data, for class weights; classes: for the names of things.
    Raises RecipeError for things that are no class.
    """

    def __init__(
        self,
        terms: Sequence[LossTerm],
        counts: ClassCounts,
        classes: LabelSet,
        device: torch.device | str = "cpu",
    ) -> None:
        self.parts = [(t.weight, _loss(t, counts, classes, device)) for t in terms]

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Scalar loss of logits (N, C, h, w), upsampled once, and labels (N, H, W) int64."""
        up = at_labels(logits, labels)
        return torch.stack([weight * loss(up, labels) for weight, loss in self.parts]).sum()


def class_weights(term: WeightedTerm, counts: ClassCounts) -> NDArray[np.float32] | None:
    """(C,) float32 class weights of a term, or None."""
    match term.class_weights:
        case "log":
            return log_frequency_weights(counts, offset=term.offset or LOG_OFFSET)
        case "inverse":
            return inverse_frequency_weights(counts)
        case "median":
            return median_frequency_weights(counts)
        case "none":
            return None


def _loss(
    term: LossTerm, counts: ClassCounts, classes: LabelSet, device: torch.device | str
) -> Loss:
    if isinstance(term, Dice):
        return partial(
            soft_dice, squared=term.squared, per_image=term.per_image, smooth=term.smooth
        )
    if isinstance(term, Lovasz):
        return partial(lovasz_softmax, per_image=term.per_image)
    table = class_weights(term, counts)
    if isinstance(term, CrossEntropy) and term.border is not None:
        return _bordered(term.border, _things(term.border, classes), table, term.smoothing)
    weights = None if table is None else torch.from_numpy(table).to(device)
    return _of_pixels(term, weights)


def _of_pixels(term: WeightedTerm, weights: Tensor | None) -> Loss:
    if isinstance(term, CrossEntropy):
        return partial(cross_entropy, weights=weights, smoothing=term.smoothing)
    if isinstance(term, Focal):
        return partial(focal, weights=weights, gamma=term.gamma)
    assert isinstance(term, Ohem)
    return partial(
        ohem_cross_entropy, weights=weights, threshold=term.threshold, min_kept=term.min_kept
    )


def _bordered(
    border: Border, things: Collection[int], table: NDArray[Any] | None, smoothing: float
) -> Loss:
    """Cross-entropy by U-Net's weight map, made of each label map on the CPU."""

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        maps = [
            border_weights(m, things, w0=border.w0, sigma=border.sigma, class_weights=table)
            for m in labels.cpu().numpy()
        ]
        weights = torch.from_numpy(np.stack(maps)).to(labels.device)
        return cross_entropy(logits, labels, pixel_weights=weights, smoothing=smoothing)

    return loss


def _things(border: Border, classes: LabelSet) -> tuple[int, ...]:
    try:
        return classes.ids(border.things)
    except InputError as exc:
        raise RecipeError(f"losses: border.things: {exc}") from exc
