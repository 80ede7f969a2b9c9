"""Cross-entropy and its relatives: losses that are means over pixels.

All take logits (N, C, h, w) of any float type and labels (N, H, W) int64 with the ignore index 255.
They compute at the labels' resolution in float32 (float64 stays), and give 0 with gradients of 0
for a batch without a labelled pixel.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from rtseg.classes import IGNORE


def at_labels(logits: Tensor, labels: Tensor) -> Tensor:
    """(N, C, h, w) logits → (N, C, H, W), bilinear to the labels' size, float32 or float64.

    Logits of that size are only converted. Raises ValueError for labels that are not (N, H, W).
    """
    if labels.ndim != 3 or len(labels) != len(logits):
        raise ValueError(
            f"labels {tuple(labels.shape)} for logits {tuple(logits.shape)}; expected (N, H, W)"
        )
    exact = logits if logits.dtype == torch.float64 else logits.float()
    if exact.shape[-2:] == labels.shape[-2:]:
        return exact
    return F.interpolate(exact, size=labels.shape[-2:], mode="bilinear", align_corners=False)


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor | None = None,
    *,
    pixel_weights: Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Weighted mean of the pixels' cross-entropy, Σ w l / Σ w over the labelled pixels.

    w is the weight of the pixel's own class, `weights` (C,), times `pixel_weights` (N, H, W), each
    1 if None. smoothing: the target is 1 - s for the pixel's class, plus s / C for every class
    (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567, section 7).
    """
    up = at_labels(logits, labels)
    losses = F.cross_entropy(
        up, labels, ignore_index=IGNORE, reduction="none", label_smoothing=smoothing
    )
    return _mean(losses, labels, weights, pixel_weights)


def focal(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None, *, gamma: float = 2.0
) -> Tensor:
    """Weighted mean of (1 - p)^gamma · -ln p, p the probability of the pixel's own class.

    weights: (C,), alpha in the paper; the mean is that of `cross_entropy`, which gamma 0 gives.
    Lin et al. 2017, https://arxiv.org/abs/1708.02002, equation 5.
    """
    up = at_labels(logits, labels)
    losses = F.cross_entropy(up, labels, ignore_index=IGNORE, reduction="none")
    wrong = -torch.expm1(-losses)  # 1 - p
    smallest = torch.finfo(losses.dtype).tiny  # the slope of 0^gamma is infinite below gamma 1
    return _mean(wrong.clamp(min=smallest) ** gamma * losses, labels, weights)


def ohem_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor | None = None,
    *,
    threshold: float = 0.7,
    min_kept: int = 100_000,
) -> Tensor:
    """Cross-entropy of the hard pixels: those whose own class has a probability below `threshold`.

    If these are fewer than min_kept, it takes the min_kept hardest pixels of the batch, or all if
    there are no more. Class weights (C,) enter the mean, not the choice. Online hard example mining
    is Shrivastava et al. 2016, https://arxiv.org/abs/1604.03540; that of pixels Wu et al. 2016,
    https://arxiv.org/abs/1604.04339.
    """
    up = at_labels(logits, labels)
    losses = F.cross_entropy(up, labels, ignore_index=IGNORE, reduction="none")
    hard = _hard(losses.detach(), labels != IGNORE, -math.log(threshold), min_kept)
    return _mean(losses, labels, weights, hard)


def _hard(losses: Tensor, labelled: Tensor, above: float, min_kept: int) -> Tensor:
    """(N, H, W) bool: the losses above a value, or the min_kept largest of the labelled pixels."""
    hard = labelled & (losses > above)
    wanted = min(min_kept, int(labelled.sum()))
    if int(hard.sum()) >= wanted:
        return hard
    ranked = losses.masked_fill(~labelled, -1.0).flatten()  # losses are not negative
    chosen = torch.zeros_like(ranked, dtype=torch.bool)
    chosen[ranked.topk(wanted).indices] = True
    return chosen.view_as(losses)


def _mean(
    losses: Tensor, labels: Tensor, weights: Tensor | None, pixel_weights: Tensor | None = None
) -> Tensor:
    """Σ w l / Σ w of (N, H, W) losses, which are 0 at ignored pixels; 0 where no weight is."""
    w = (labels != IGNORE).to(losses)
    if weights is not None:
        table = F.pad(weights.to(losses), (0, IGNORE + 1 - len(weights)))  # (256,)
        w = w * table[labels]
    if pixel_weights is not None:
        w = w * pixel_weights.to(losses)
    return (w * losses).sum() / w.sum().clamp(min=torch.finfo(losses.dtype).tiny)
