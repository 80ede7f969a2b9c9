"""Augmented versions of samples, made as training makes them, to look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Generator, Tensor

from rtseg.training.augmentation.apply import augment
from rtseg.training.augmentation.geometry import Motion, draw_motion
from rtseg.training.augmentation.settings import AugmentSettings
from rtseg.training.datasets import Sample, stack
from rtseg.training.recipe import Recipe
from rtseg.training.recipe_parts import Stage

if TYPE_CHECKING:
    from numpy.typing import NDArray

AT_LEAST = 3
"""Versions of each sample."""


def versions(samples: Sequence[Sample], recipe: Recipe, seed: int) -> list[list[Sample]]:
    """For each sample its augmented versions, equally many for each stage of the recipe.

    Their names say the stage and what was drawn. The samples must share one size.
    """
    images, labels = (torch.from_numpy(array) for array in stack(samples))
    rng = Generator().manual_seed(seed)
    repeats = math.ceil(AT_LEAST / len(recipe.stages))
    columns = [
        _column(images, labels, recipe.augment, stage, f"stage {number}", rng)
        for number, stage in enumerate(recipe.stages, 1)
        for _ in range(repeats)
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def description(recipe: Recipe) -> list[str]:
    """Lines that say what is drawn: the augmentations that are on, then the stages."""
    always = recipe.augment.model_dump(exclude={"elastic_grid", "probability"})
    strengths = [k if v is True else f"{k} {v:g}" for k, v in always.items() if v]
    stages = [
        f"stage {i}: {s.crop[1]}x{s.crop[0]}, zoom {s.scale[0]:g} to {s.scale[1]:g}"
        for i, s in enumerate(recipe.stages, 1)
    ]
    return ["augmentation: " + (", ".join(strengths) or "none"), "; ".join(stages)]


def _column(
    images: Tensor, labels: Tensor, how: AugmentSettings, stage: Stage, name: str, rng: Generator
) -> list[Sample]:
    """One version of each sample."""
    same = Generator()
    same.set_state(rng.get_state())  # the motion is what `augment` draws first
    size = (images.shape[-2], images.shape[-1])
    motion = draw_motion(len(images), how, same, size=size, crop=stage.crop, scale=stage.scale)
    pixels, ids = augment(images, labels, how, rng, crop=stage.crop, scale=stage.scale)
    captions = [f"{name}: {text}" for text in _captions(motion)]
    pictures = zip(captions, _bgr(pixels), ids.to(torch.uint8).numpy(), strict=True)
    return [Sample(*picture) for picture in pictures]


def _captions(motion: Motion) -> list[str]:
    rows = zip(*(part.tolist() for part in motion[:3]), strict=True)
    return [
        f"zoom {zoom:.2f}, {math.degrees(angle):+.1f}°" + (", mirrored" if mirror < 0 else "")
        for zoom, angle, mirror in rows
    ]


def _bgr(pixels: Tensor) -> NDArray[np.uint8]:
    """(N, 3, h, w) RGB 0–1 → (N, h, w, 3) uint8 BGR."""
    values = (pixels * 255).round().to(torch.uint8).flip(1).permute(0, 2, 3, 1)
    return values.contiguous().numpy()
