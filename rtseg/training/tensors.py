"""Data as tensors on the training device, and what goes into and comes out of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from rtseg.training.datasets import Split, stack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtseg.networks import NetworkEntry

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""RGB mean and standard deviation, on a 0–1 scale; they go into the model file's contract."""


def split_tensors(samples: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    """A split: (N, 3, H, W) RGB and (N, H, W) labels, both uint8."""
    images, labels = stack(samples)
    return torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device)


def rendered_tensors(
    count: int, size: tuple[int, ...], seed: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Rendered frames of `size` (height, width), as `split_tensors`."""
    from rtseg.synthetic import labelled_frames
    from rtseg.training.datasets import Sample

    frames = labelled_frames(count, size[1], size[0], seed=seed)
    images, labels = stack(Sample(f"rendered-{i}", *pair) for i, pair in enumerate(frames))
    return torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device)


def normalise(images: Tensor) -> Tensor:
    """(N, 3, H, W) RGB 0–1 → zero mean and unit variance by `MEAN` and `STD`, channels last."""
    mean = images.new_tensor(MEAN).view(1, 3, 1, 1)
    std = images.new_tensor(STD).view(1, 3, 1, 1)
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def fitted(images: Tensor, row: NetworkEntry) -> Tensor:
    """(N, 3, H, W) images as an input that a network takes and whose logits cover all of them.

    Resized to the nearest valid size. A network that gives no logits for a margin gets the image
    mirrored there, as U-Net's "overlap-tile" has it (https://arxiv.org/abs/1505.04597, section 2).
    """
    m = row.margin
    least = m + row.sizes.stride if m else 0  # a mirror needs more than the margin to show
    height, width = (max(side, least) + 2 * m for side in images.shape[-2:])
    width, height = row.sizes.nearest(width, height)
    size = (height - 2 * m, width - 2 * m)
    if images.shape[-2:] != size:
        images = F.interpolate(images, size=size, mode="bilinear", align_corners=False)
    return F.pad(images, (m, m, m, m), mode="reflect") if m else images


def predict(logits: Tensor, size: tuple[int, ...]) -> NDArray[np.uint8]:
    """(1, C, h, w) logits → (H, W) uint8 labels: bilinear upsampling, then argmax."""
    up = F.interpolate(logits.float(), size=list(size), mode="bilinear", align_corners=False)
    return up.argmax(1)[0].to(torch.uint8).cpu().numpy()
