"""Losses of regions: soft Dice and Lovász-softmax, on the overlap of whole classes.

Logits, labels, types and batches without a labelled pixel are as in `rtseg.training.losses`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rtseg.classes import IGNORE
from rtseg.training.losses import at_labels
from rtseg.training.targets import one_hot


def soft_dice(
    logits: Tensor,
    labels: Tensor,
    *,
    squared: bool = False,
    per_image: bool = False,
    smooth: float = 1.0,
) -> Tensor:
    """1 - mean over the classes present of (2 Σ p g + smooth) / (Σ p + Σ g + smooth).

    p are the softmax probabilities, g the one-hot labels, the sums over the labelled pixels.
    squared: the denominator is Σ p² + Σ g² + smooth (V-Net, Milletari et al. 2016,
    https://arxiv.org/abs/1606.04797, section 3); else the plain sum (Drozdzal et al. 2016,
    https://arxiv.org/abs/1608.04117). per_image: the loss of each image on its own, averaged over
    the images with labelled pixels; else the sums run over the batch.

    An absent class, one without a labelled pixel in the batch or the image, is left out of the
    mean: its false positives cost only what they take from the classes that are there.
    """
    up = at_labels(logits, labels)
    truth = one_hot(labels, up.shape[1], dtype=up.dtype)
    p = up.softmax(1) * (labels != IGNORE)[:, None]
    axes = (2, 3) if per_image else (0, 2, 3)
    size = (p**2 + truth).sum(axes) if squared else (p + truth).sum(axes)  # (N, C) or (C,)
    present = truth.sum(axes) > 0
    whole = torch.where(present, size + smooth, 1.0)  # no 0 / 0 for absent classes
    dice = (2 * (p * truth).sum(axes) + smooth) / whole
    return _mean_of_present(1 - dice, present)


def lovasz_softmax(logits: Tensor, labels: Tensor, *, per_image: bool = False) -> Tensor:
    """Lovász extension of 1 - IoU, averaged over the classes present.

    per_image: the loss of each image on its own, averaged over the images with labelled pixels;
    else over the pixels of the batch. Classes without a labelled pixel there are left out.
    Berman et al. 2018, https://arxiv.org/abs/1705.08790.
    """
    up = at_labels(logits, labels)
    p = up.softmax(1).movedim(1, -1)  # (N, H, W, C)
    groups = zip(p, labels, strict=True) if per_image else [(p, labels)]
    losses, present = zip(*(_lovasz(q.flatten(0, -2), t.flatten()) for q, t in groups), strict=True)
    return _mean_of_present(torch.stack(losses), torch.stack(present))


def _lovasz(p: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Losses (C,) of probabilities (P, C) and labels (P,), and which classes are there (C,).

    Nothing is picked out by value, which would make a GPU wait for the host: ignored pixels come
    last, behind every error, where they change no other pixel's slope, and count nothing.
    """
    truth = labels == torch.arange(p.shape[1], device=labels.device)[:, None]  # (C, P)
    errors = (truth.to(p) - p.T).abs().masked_fill(labels == IGNORE, -1.0)
    errors, order = errors.sort(dim=1, descending=True)
    slopes = _jaccard_steps(truth.gather(1, order)).to(p)
    return (errors.clamp(min=0) * slopes).sum(1), truth.any(1)


def _jaccard_steps(truth: Tensor) -> Tensor:
    """(C, P) bool, pixels by falling error → by how much each, got wrong too, lowers the IoU.

    With the first k pixels wrong, the intersection is i = G - (truths among them) and the union
    u = G + (others among them), G the pixels of the class. The last of them took 1 / u if it is of
    the class and i / (u (u - 1)) if not; unlike differences of IoUs, that loses no digits.
    """
    pixels = truth.sum(1, keepdim=True)
    missed = truth.cumsum(1)
    added = torch.arange(1, truth.shape[1] + 1, device=truth.device) - missed
    left, union = (pixels - missed).double(), (pixels + added).double()
    return torch.where(truth, 1 / union, left / (union * (union - 1)).clamp(min=1))


def _mean_of_present(losses: Tensor, present: Tensor) -> Tensor:
    """Mean over the last axis where present, then over the rows that have any; 0 without one."""
    by_row = torch.where(present, losses, 0.0).sum(-1) / present.sum(-1).clamp(min=1)
    rows = present.any(-1).sum().clamp(min=1)
    return by_row.sum() / rows
