"""Random numbers for a batch: a row a sample, so that samples are independent of each other."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def uniform(rows: int, columns: int, rng: Generator) -> Tensor:
    """(rows, columns) in 0–1, drawn on the generator's device and returned on the CPU."""
    return torch.rand(rows, columns, generator=rng, device=rng.device).cpu()


def signed(rows: int, columns: int, rng: Generator) -> Tensor:
    """As `uniform`, in -1 … 1."""
    return uniform(rows, columns, rng) * 2 - 1


def normal(rows: int, columns: int, rng: Generator) -> Tensor:
    """(rows, columns) of mean 0 and variance 1, on the CPU."""
    return torch.randn(rows, columns, generator=rng, device=rng.device).cpu()


def chosen(count: int, probability: float, rng: Generator) -> Tensor:
    """(count, 1) bool on the CPU: which samples are taken, each with `probability`."""
    return uniform(count, 1, rng) < probability


def generator_on(device: torch.device, rng: Generator) -> Generator:
    """A generator on `device` that follows `rng`: draws as large as images are made in place."""
    if rng.device == device:
        return rng
    seed = torch.randint(2**62, (1,), generator=rng, device=rng.device)
    return Generator(device).manual_seed(int(seed))
