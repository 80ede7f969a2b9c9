"""What changes values and no places: gamma, colour, blur, noise. Images are (N, 3, h, w), 0–1."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from rtseg.training.augmentation.draws import chosen, generator_on, signed, uniform
from rtseg.training.tensors import on


def change_gamma(images: Tensor, strength: float, rng: Generator) -> Tensor:
    """Raise to an exponent, log-uniform between 1 / (1 + strength) and 1 + strength."""
    if strength == 0:
        return images
    exponent = (signed(len(images), 1, rng) * math.log1p(strength)).exp()
    return images.pow(on(images.device, exponent).view(-1, 1, 1, 1))


def jitter_colour(images: Tensor, strength: float, rng: Generator) -> Tensor:
    """Brightness, contrast, saturation and colour-cast jitter; strength 0–1."""
    if strength == 0:
        return images
    draw = on(images.device, signed(len(images), 6, rng) * strength)
    gains = [draw[:, i].view(-1, 1, 1, 1) for i in range(3)]
    cast = draw[:, 3:].view(-1, 3, 1, 1) * 0.25
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (1 + gains[0])  # saturation
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * (1 + gains[1])  # contrast
    return (images * (1 + gains[2]) * (1 + cast)).clamp(0, 1)  # brightness, cast


def blur(images: Tensor, strongest: float, probability: float, rng: Generator) -> Tensor:
    """Gaussian blur of the chosen samples, each by a sigma uniform in 0 … `strongest` pixels."""
    if strongest == 0:
        return images
    sigma = uniform(len(images), 1, rng) * strongest
    rows = _chosen_rows(len(images), probability, rng)
    if len(rows) == 0:
        return images
    taps = on(images.device, gaussian(sigma[rows], math.ceil(3 * strongest)))
    rows = on(images.device, rows)
    return images.index_copy(0, rows, _filter(images[rows], taps))


def gaussian(sigma: Tensor, radius: int) -> Tensor:
    """(n, 1) sigmas in pixels → (n, 2 · radius + 1) filters that sum to 1; sigma 0 is a pulse."""
    at = torch.arange(-radius, radius + 1)
    weights = (-0.5 * (at / sigma.clamp(min=1e-3)) ** 2).exp()
    return weights / weights.sum(1, keepdim=True)


def _filter(images: Tensor, taps: Tensor) -> Tensor:
    """Each image by its own row of (n, k) taps, along x and y; edges are repeated."""
    n, channels, height, width = images.shape
    radius = taps.shape[1] // 2
    each = taps.repeat_interleave(channels, 0)  # (n · channels, k): one plane is one group
    planes = F.pad(images.reshape(1, -1, height, width), [radius] * 4, mode="replicate")
    planes = F.conv2d(planes, each[:, None, None, :], groups=len(each))
    planes = F.conv2d(planes, each[:, None, :, None], groups=len(each))
    return planes.view(n, channels, height, width)


def add_noise(images: Tensor, deviation: float, probability: float, rng: Generator) -> Tensor:
    """Add gaussian noise of that standard deviation to the chosen samples, limited to 0–1."""
    if deviation == 0:
        return images
    rows = on(images.device, _chosen_rows(len(images), probability, rng))
    clean = images[rows]
    local = generator_on(images.device, rng)
    noise = torch.empty_like(clean).normal_(0, deviation, generator=local)
    return images.index_copy(0, rows, (clean + noise).clamp(0, 1))


def _chosen_rows(count: int, probability: float, rng: Generator) -> Tensor:
    """(k,) indices of the chosen samples, on the CPU."""
    return chosen(count, probability, rng)[:, 0].nonzero()[:, 0]
