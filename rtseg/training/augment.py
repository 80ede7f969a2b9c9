"""Augmentation of whole batches on the tensors' own device.

One affine map a sample does scale, crop, mirroring and rotation in a single interpolation: images
bilinear, labels nearest with the ignore index outside. Everything is drawn from the generator
that is passed in, so a seed reproduces a run.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from rtseg.classes import IGNORE


@dataclass(frozen=True, slots=True)
class Augmentation:
    """scale: range of zoom, drawn log-uniformly. rotation: degrees each way. flip: mirror half of
    the samples. colour: strength of brightness, contrast, saturation and cast, 0–1."""

    scale: tuple[float, float] = (0.5, 2.0)
    rotation: float = 3.0
    flip: bool = True
    colour: float = 0.4


def augment(
    images: Tensor, labels: Tensor, crop: tuple[int, int], how: Augmentation, rng: Generator
) -> tuple[Tensor, Tensor]:
    """(N, 3, H, W) uint8 RGB, (N, H, W) uint8 → (N, 3, h, w) float32 0–1, (N, h, w) int64.

    crop: (height, width) of the result, in pixels of the scaled image.
    """
    theta = affine(len(images), images.shape[-2:], crop, how, rng).to(images.device)
    grid = F.affine_grid(theta, [len(images), 3, *crop], align_corners=False)
    pixels = F.grid_sample(
        images.float() / 255.0, grid, mode="bilinear", padding_mode="reflection",
        align_corners=False,
    )  # fmt: skip
    # Outside is 0 after sampling, so ids are shifted by one and 0 becomes the ignore index.
    shifted = (labels.float() + 1.0).unsqueeze(1)
    target = F.grid_sample(shifted, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    ids = target.squeeze(1).long() - 1
    ids[ids < 0] = IGNORE
    return jitter_colour(pixels, how.colour, rng), ids


def affine(
    count: int, size: tuple[int, ...], crop: tuple[int, int], how: Augmentation, rng: Generator
) -> Tensor:
    """(N, 2, 3) maps from output to input, in the -1 … 1 coordinates of `grid_sample`."""
    height, width = size
    draw = _uniform(count, 4, rng)
    low, high = (torch.tensor(v).log() for v in how.scale)
    zoom = (low + (high - low) * draw[:, 0]).exp()
    angle = (draw[:, 1] * 2 - 1) * how.rotation * (torch.pi / 180)
    mirror = torch.where(_uniform(count, 1, rng)[:, 0] < 0.5, -1.0, 1.0) if how.flip else 1.0
    # Half extents of the crop in input pixels; the centre moves as far as the crop stays inside.
    half_w, half_h = crop[1] / zoom / 2, crop[0] / zoom / 2
    centre_x = (draw[:, 2] * 2 - 1) * (width / 2 - half_w).clamp(min=0)
    centre_y = (draw[:, 3] * 2 - 1) * (height / 2 - half_h).clamp(min=0)
    cos, sin = angle.cos(), angle.sin()
    row_x = torch.stack([cos * half_w * mirror, -sin * half_h, centre_x], 1) / (width / 2)
    row_y = torch.stack([sin * half_w * mirror, cos * half_h, centre_y], 1) / (height / 2)
    return torch.stack([row_x, row_y], 1)


def jitter_colour(images: Tensor, strength: float, rng: Generator) -> Tensor:
    """Brightness, contrast, saturation and colour-cast jitter of (N, 3, h, w) 0–1 images."""
    if strength == 0:
        return images
    draw = ((_uniform(len(images), 6, rng) * 2 - 1) * strength).to(images.device)
    gains = [draw[:, i].view(-1, 1, 1, 1) for i in range(3)]
    cast = draw[:, 3:].view(-1, 3, 1, 1) * 0.25
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (1 + gains[0])  # saturation
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * (1 + gains[1])  # contrast
    return (images * (1 + gains[2]) * (1 + cast)).clamp(0, 1)  # brightness, cast


def _uniform(rows: int, columns: int, rng: Generator) -> Tensor:
    """(rows, columns) in 0–1, drawn on the generator's device and returned on the CPU."""
    return torch.rand(rows, columns, generator=rng, device=rng.device).cpu()
