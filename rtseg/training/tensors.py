"""What goes into a network, and what comes out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtseg.networks import NetworkEntry

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""RGB mean and standard deviation, on a 0–1 scale; they go into the model file's contract."""


def on(device: torch.device, tensor: Tensor) -> Tensor:
    """A tensor of the host on the device. Does not wait for the work that a GPU has in its queue,
    as `Tensor.to` does with memory that is not pinned."""
    there: Tensor = (
        tensor.pin_memory().to(device, non_blocking=True)
        if device.type == "cuda"
        else tensor.to(device)
    )
    return there


def normalise(images: Tensor) -> Tensor:
    """(N, 3, H, W) RGB 0–1 → zero mean and unit variance by `MEAN` and `STD`, channels last."""
    of_channel = on(images.device, torch.tensor([MEAN, STD], dtype=images.dtype)).view(2, 3, 1, 1)
    scaled = (images - of_channel[0]) / of_channel[1]
    return scaled.contiguous(memory_format=torch.channels_last)


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
