"""Cutout: a square of each chosen sample is taken out.

DeVries & Taylor 2017, https://arxiv.org/abs/1708.04552. There the label of the image stays. Here
the labels below the square are ignored: what it hides cannot be told pixel by pixel, and a loss on
it would reward guesses. What is learnt is to do without that context around it. Unlike there, the
square is always inside, so that its area is what is stated.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from rtseg.classes import IGNORE
from rtseg.training.augmentation.draws import chosen, uniform
from rtseg.training.tensors import MEAN, on


def cutout(
    images: Tensor, labels: Tensor, share: float, probability: float, rng: Generator
) -> tuple[Tensor, Tensor]:
    """Fill a square of (N, 3, h, w) 0–1 images with the mean colour, of (N, h, w) ids with 255.

    share: side of the square by the shorter side, 0–1.
    """
    if share == 0:
        return images, labels
    hidden = squares(len(images), labels.shape[-2:], share, probability, rng, images.device)
    mean = on(images.device, torch.tensor(MEAN)).view(1, 3, 1, 1)  # 0 once it is normalised
    return torch.where(hidden[:, None], mean, images), labels.masked_fill(hidden, IGNORE)


def squares(
    count: int,
    size: torch.Size,
    share: float,
    probability: float,
    rng: Generator,
    device: torch.device,
) -> Tensor:
    """(count, h, w) bool: one square in each of the chosen samples."""
    height, width = size
    side = round(share * min(size))
    room = torch.tensor([height - side + 1, width - side + 1])
    corner = (uniform(count, 2, rng) * room).floor()
    corner[~chosen(count, probability, rng)[:, 0]] = max(size)  # outside
    top, left = on(device, corner).view(count, 2, 1).unbind(1)
    y, x = torch.arange(height, device=device), torch.arange(width, device=device)
    rows, columns = (y >= top) & (y < top + side), (x >= left) & (x < left + side)
    return rows[:, :, None] & columns[:, None, :]
