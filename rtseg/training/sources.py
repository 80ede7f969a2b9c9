"""The images of a run as batches: all on the training device, or read as they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from rtseg.errors import RecipeError
from rtseg.hardware import cpu_count
from rtseg.training.class_weights import ClassCounts, count_classes
from rtseg.training.datasets import Sample
from rtseg.training.fitting import fit, planes
from rtseg.training.memory import free_bytes
from rtseg.training.recipe import Recipe
from rtseg.training.tensors import on

if TYPE_CHECKING:
    from numpy.typing import NDArray

Batch: TypeAlias = tuple[Tensor, Tensor]
"""(N, 3, H, W) RGB and (N, H, W) labels, uint8, on the training device."""

SHARE = 0.4
"""Of the free memory that images may take; the rest is for the network's activations."""


class Samples(Protocol):
    """What batches are made of; a `Split` is one."""

    @property
    def names(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


class Source(Protocol):
    """Batches of a run's images."""

    names: tuple[str, ...]
    where: str  # the images are, for people

    def counts(self, classes: int) -> ClassCounts: ...

    def batches(self, groups: Sequence[Sequence[int]]) -> Iterator[Batch]:
        """One batch for each group of indices."""
        ...


def open_source(samples: Samples, recipe: Recipe, device: torch.device) -> Source:
    """All samples on the device if they fit there, else a stream.

    Raises RecipeError for samples of different sizes if the recipe gives no size.
    """
    size = recipe.size or samples[0].labels.shape
    need = len(samples) * 4 * size[0] * size[1]
    fits = need <= SHARE * free_bytes(device)
    sized = _Sized(samples, recipe.size, size)
    if recipe.residence == "device" or (recipe.residence == "auto" and fits):
        return Resident(sized, device)
    workers = cpu_count() if recipe.workers is None else recipe.workers
    return Streamed(sized, workers, device)


class _Sized(Dataset[tuple[Tensor, Tensor]]):
    """Samples as tensors of one size."""

    def __init__(
        self, samples: Samples, wanted: tuple[int, int] | None, size: tuple[int, ...]
    ) -> None:
        self.samples, self.wanted, self.size = samples, wanted, tuple(size)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        sample = self.samples[index]
        if self.wanted is not None:
            sample = fit(sample, self.wanted)
        height, width = sample.labels.shape
        if (height, width) != self.size:
            raise RecipeError(
                f"{sample.name} is {width}x{height}, others are {self.size[1]}x{self.size[0]}; "
                "set size = [height, width] in the recipe"
            )
        return torch.from_numpy(planes(sample)), torch.from_numpy(sample.labels)


class Resident:
    """All images in the memory of the device: nothing is read while training."""

    def __init__(self, sized: _Sized, device: torch.device) -> None:
        self.names = tuple(sized.samples.names)
        self.where = f"in the memory of {device}"
        count, (height, width) = len(sized), sized.size
        self.images = torch.empty(count, 3, height, width, dtype=torch.uint8, device=device)
        self.labels = torch.empty(count, height, width, dtype=torch.uint8, device=device)
        for i in range(count):
            image, labels = sized[i]
            self.images[i], self.labels[i] = image.to(device), labels.to(device)

    def counts(self, classes: int) -> ClassCounts:
        return count_classes((m.cpu().numpy() for m in self.labels), classes)

    def batches(self, groups: Sequence[Sequence[int]]) -> Iterator[Batch]:
        for group in groups:
            rows = on(self.images.device, torch.tensor(group))
            yield self.images[rows], self.labels[rows]


class Streamed:
    """Images are read by worker processes, some batches ahead of the training."""

    def __init__(self, sized: _Sized, workers: int, device: torch.device) -> None:
        self.names = tuple(sized.samples.names)
        self.where = f"read by {workers} processes"
        self.sized, self.device = sized, device
        self.groups: list[list[int]] = []  # of the epoch that is being read
        self.loader = DataLoader(
            sized,
            batch_sampler=self.groups,
            num_workers=workers,
            pin_memory=device.type == "cuda",
        )

    def counts(self, classes: int) -> ClassCounts:
        return count_classes(self._label_maps(), classes)

    def _label_maps(self) -> Iterator[NDArray[np.uint8]]:
        return (self.sized[i][1].numpy() for i in range(len(self.sized)))

    def batches(self, groups: Sequence[Sequence[int]]) -> Iterator[Batch]:
        self.groups[:] = map(list, groups)
        for images, labels in self.loader:
            yield (
                images.to(self.device, non_blocking=True),
                labels.to(self.device, non_blocking=True),
            )
