"""Batches to augment, and settings that do one thing."""

from __future__ import annotations

import torch

from rtseg.training.augmentation.apply import augment
from rtseg.training.augmentation.settings import AugmentSettings

STILL = {"flip": False, "rotation": 0.0, "colour": 0.0, "probability": 1.0}
"""Everything off; what is added to it happens to every sample."""


def batch(count: int = 2, height: int = 24, width: int = 32):
    """Images and labels of noise."""
    rng = seeded(5)
    images = torch.randint(0, 256, (count, 3, height, width), generator=rng, dtype=torch.uint8)
    labels = torch.randint(0, 11, (count, height, width), generator=rng, dtype=torch.uint8)
    return images, labels


def ramps(count: int = 4, height: int = 48, width: int = 64):
    """Images whose red is the column and green the row of each pixel."""
    columns = torch.arange(width).expand(count, height, width)
    rows = torch.arange(height)[:, None].expand(count, height, width)
    return torch.stack([columns, rows, columns * 0], 1).to(torch.uint8)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def only(**values: object) -> AugmentSettings:
    return AugmentSettings.model_validate(STILL | values)


def augmented(images, labels, seed: int = 0, *, crop=None, scale=(1.0, 1.0), **values: object):
    """`augment` with nothing but `values`, on the whole image."""
    crop = crop or tuple(images.shape[-2:])
    return augment(images, labels, only(**values), seeded(seed), crop=crop, scale=scale)
