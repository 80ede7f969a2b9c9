"""All augmentations of a batch, in order.

Everything is drawn from the generator that is passed in, so a seed reproduces a run. What is
switched off draws nothing and costs nothing.
"""

from __future__ import annotations

from torch import Generator, Tensor

from rtseg.training.augmentation.cutout import cutout
from rtseg.training.augmentation.geometry import Size, affine, draw_motion, sample, sampling_grid
from rtseg.training.augmentation.pixels import add_noise, blur, change_gamma, jitter_colour
from rtseg.training.augmentation.settings import AugmentSettings


def augment(
    images: Tensor,
    labels: Tensor,
    how: AugmentSettings,
    rng: Generator,
    *,
    crop: Size,
    scale: tuple[float, float],
) -> tuple[Tensor, Tensor]:
    """(N, 3, H, W) uint8 RGB, (N, H, W) uint8 → (N, 3, h, w) float32 0–1, (N, h, w) int64.

    crop: (height, width) of the result, in pixels of the scaled image; scale: range of the zoom.
    Labels are nearest, never mixed, and 255 where there was no image.
    """
    size = (images.shape[-2], images.shape[-1])
    motion = draw_motion(len(images), how, rng, size=size, crop=crop, scale=scale)
    theta = affine(motion, size, crop)
    grid = sampling_grid(theta, how, rng, crop=crop, device=images.device)
    pixels, ids = sample(images, labels, grid)
    pixels = change_gamma(pixels, how.gamma, rng)
    pixels = jitter_colour(pixels, how.colour, rng)
    pixels = blur(pixels, how.blur, how.probability, rng)
    pixels = add_noise(pixels, how.noise, how.probability, rng)
    return cutout(pixels, ids, how.cutout, how.probability, rng)
