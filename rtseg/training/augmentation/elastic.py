"""Elastic deformation: a coarse grid of random displacements, smoothly interpolated.

Simard et al. 2003, "Best practices for convolutional neural networks applied to visual document
analysis"; the coarse grid with bicubic interpolation is that of the U-Net, Ronneberger et al.
2015, https://arxiv.org/abs/1505.04597.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from rtseg.training.augmentation.draws import chosen, normal
from rtseg.training.augmentation.settings import AugmentSettings


def displacements(
    count: int,
    how: AugmentSettings,
    rng: Generator,
    *,
    crop: tuple[int, int],
    device: torch.device,
) -> Tensor:
    """(count, h, w, 2) float32 displacements in x and y, in the -1 … 1 coordinates of the crop.

    `how.elastic` is the standard deviation, in pixels, at the points of the coarse grid; its
    outermost points are the corner pixels. The picture folds over where it comes near the distance
    between these points. 0 for the samples that are not chosen.
    """
    side = how.elastic_grid
    pixels = normal(count, 2 * side * side, rng) * how.elastic
    pixels = pixels * chosen(count, how.probability, rng)
    per_pixel = torch.tensor([2 / crop[1], 2 / crop[0]]).view(2, 1, 1)
    coarse = pixels.view(count, 2, side, side) * per_pixel
    fine = F.interpolate(coarse.to(device), size=crop, mode="bicubic", align_corners=True)
    return fine.permute(0, 2, 3, 1)
