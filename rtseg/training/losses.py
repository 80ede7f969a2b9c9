"""Losses on logits (N, C, h, w) and labels (N, H, W) with an ignore index."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from rtseg.classes import IGNORE


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean pixel-wise cross-entropy at the labels' resolution, in float32.

    logits: (N, C, h, w), upsampled bilinearly to the labels (N, H, W) int64; pixels of 255 are
    ignored. weights: (C,) float32 or None. An all-ignored batch gives 0, not NaN.
    """
    up = F.interpolate(logits.float(), size=labels.shape[-2:], mode="bilinear", align_corners=False)
    if bool((labels == IGNORE).all()):
        return up.sum() * 0.0
    return F.cross_entropy(up, labels, weight=weights, ignore_index=IGNORE)


def log_frequency_weights(labels: Tensor, classes: int, *, offset: float = 1.10) -> Tensor:
    """(C,) weights 1 / ln(offset + p) with p the class's share of the labelled pixels.

    Paszke et al. 2016, https://arxiv.org/abs/1606.02147, section 5.2, with the milder offset of
    1.10 that later real-time networks use; an offset of 1.02 is the paper's.
    labels: integers of any shape, 255 ignored.
    """
    counts = torch.bincount(labels[labels != IGNORE].flatten().long(), minlength=classes)
    share = counts.double() / counts.sum().clamp(min=1)
    return torch.tensor([1.0 / math.log(offset + float(p)) for p in share], dtype=torch.float32)
