"""Where each pixel of a crop comes from: all geometric augmentations as one sampling grid.

A pixel of the crop goes through perspective, elastic displacement and the affine map, in this
order, to its place in the input image. Images are so interpolated once.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from rtseg.classes import IGNORE
from rtseg.training.augmentation.draws import chosen, signed, uniform
from rtseg.training.augmentation.elastic import displacements
from rtseg.training.augmentation.settings import AugmentSettings
from rtseg.training.tensors import on

Size = tuple[int, int]
"""(height, width) in pixels."""


class Motion(NamedTuple):
    """The affine part, for each of N samples: (N,) float32 on the CPU.

    zoom: factor. angle: radians, positive turns the picture anticlockwise; mirror: -1 mirrors it
    after that, 1 does not. x, y: from the middle of the input image to that of the crop, in pixels
    of the input image.
    """

    zoom: Tensor
    angle: Tensor
    mirror: Tensor
    x: Tensor
    y: Tensor


def draw_motion(
    count: int,
    how: AugmentSettings,
    rng: Generator,
    *,
    size: Size,
    crop: Size,
    scale: tuple[float, float],
) -> Motion:
    """Zoom log-uniform in `scale`; the crop's place uniform where it stays inside the image.

    size: of the input images. Translation is whole pixels of the crop, from that place on.
    """
    draw = uniform(count, 4, rng)
    low, high = (torch.tensor(v).log() for v in scale)
    zoom = (low + (high - low) * draw[:, 0]).exp()
    angle = (draw[:, 1] * 2 - 1) * how.rotation * (torch.pi / 180)
    mirror = torch.ones(count)
    if how.flip:
        mirror[uniform(count, 1, rng)[:, 0] < 0.5] = -1
    x = (draw[:, 2] * 2 - 1) * (size[1] / 2 - crop[1] / zoom / 2).clamp(min=0)
    y = (draw[:, 3] * 2 - 1) * (size[0] / 2 - crop[0] / zoom / 2).clamp(min=0)
    if how.translation:
        steps = uniform(count, 2, rng) * (2 * how.translation + 1)
        shift = (steps.floor() - how.translation) / zoom[:, None]
        x, y = x + shift[:, 0], y + shift[:, 1]
    return Motion(zoom, angle, mirror, x, y)


def affine(motion: Motion, size: Size, crop: Size) -> Tensor:
    """(N, 2, 3) maps from crop to input image, in the -1 … 1 coordinates of `grid_sample`."""
    height, width = size
    half_w, half_h = crop[1] / motion.zoom / 2, crop[0] / motion.zoom / 2  # of the crop, in input
    cos, sin = motion.angle.cos(), motion.angle.sin()
    row_x = torch.stack([cos * half_w * motion.mirror, -sin * half_h, motion.x], 1) / (width / 2)
    row_y = torch.stack([sin * half_w * motion.mirror, cos * half_h, motion.y], 1) / (height / 2)
    return torch.stack([row_x, row_y], 1)


def sampling_grid(
    theta: Tensor, how: AugmentSettings, rng: Generator, *, crop: Size, device: torch.device
) -> Tensor:
    """(N, h, w, 2) x and y in the input image for each pixel of the crops, on `device`.

    theta: (N, 2, 3) from `affine`. Perspective and elastic displacement are drawn here.
    """
    theta = on(device, theta)
    shape = [len(theta), 3, *crop]
    if not (how.perspective or how.elastic):
        return F.affine_grid(theta, shape, align_corners=False)
    points = F.affine_grid(torch.eye(2, 3, device=device)[None], [1, *shape[1:]], False)
    points = points.expand(len(theta), -1, -1, -1)
    if how.perspective:
        points = tilt(points, how, rng)
    if how.elastic:
        points = points + displacements(len(theta), how, rng, crop=crop, device=device)
    moved = torch.baddbmm(theta[:, None, :, 2], points.flatten(1, 2), theta[:, :, :2].mT)
    return moved.view(len(theta), *crop, 2)


def tilt(points: Tensor, how: AugmentSettings, rng: Generator) -> Tensor:
    """Divide (N, h, w, 2) points of -1 … 1 by 1 + p · x + q · y, as a turned camera does.

    |p| + |q| is at most `how.perspective` (below 1: no point goes to infinity). The middle stays;
    p and q are 0 for the samples that are not chosen.
    """
    slope = signed(len(points), 2, rng) * (how.perspective / 2)
    slope = on(points.device, slope * chosen(len(points), how.probability, rng))
    depth = 1 + (points * slope[:, None, None]).sum(-1, keepdim=True)
    return points / depth


def sample(images: Tensor, labels: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Look up a grid: images bilinear, labels nearest; where the grid is outside, 255.

    (N, 3, H, W) uint8, (N, H, W) uint8, (N, h, w, 2) → (N, 3, h, w) float32 0–1, (N, h, w) int64.
    """
    pixels = F.grid_sample(
        images.float() / 255.0, grid, mode="bilinear", padding_mode="reflection",
        align_corners=False,
    )  # fmt: skip
    # Outside is 0 after sampling, so ids are shifted by one and 0 becomes the ignore index.
    shifted = (labels.float() + 1.0).unsqueeze(1)
    target = F.grid_sample(shifted, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    ids = target.squeeze(1).long() - 1
    return pixels, ids.masked_fill_(ids < 0, IGNORE)
