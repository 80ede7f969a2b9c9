"""Accuracy of the network that is being trained, on a whole split and at its labels' size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rtseg.metrics import ConfusionMatrix
from rtseg.networks import build, entry
from rtseg.training.datasets import Sample, Split
from rtseg.training.fitting import fitting_size
from rtseg.training.memory import free_bytes
from rtseg.training.recipe import Recipe
from rtseg.training.tensors import fitted, normalise, predict
from rtseg.training.world import World

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARE = 0.1
"""Of the free memory of the machine that the decoded images of a split may take."""


class Validator:
    """Measures weights on a split; of several processes each takes its share of the images."""

    def __init__(self, split: Split, recipe: Recipe, world: World) -> None:
        self.split, self.recipe, self.world = split, recipe, world
        self.classes = len(split.classes)
        self.mine = world.share(list(range(len(split))))
        self._kept: dict[int, Sample] | None = {} if self._fits() else None

    @torch.no_grad()
    def measure(self, weights: Mapping[str, Tensor]) -> ConfusionMatrix:
        """The confusion matrix of these weights over the whole split, equal in all processes."""
        network = self.network(weights)
        matrix = ConfusionMatrix(self.classes)
        for index in self.mine:
            sample = self._sample(index)
            matrix.add(sample.labels, self.predict(network, sample.image))
        matrix.counts = self.world.total(torch.from_numpy(matrix.counts)).numpy()
        return matrix

    def network(self, weights: Mapping[str, Tensor]) -> nn.Module:
        """A network with these weights, in eval mode on the device."""
        network = build(self.recipe.network, self.classes).to(self.world.device)
        network.load_state_dict(weights)
        return channels_last(network.eval())

    @torch.no_grad()
    def predict(self, network: nn.Module, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 BGR → (H, W) uint8 labels."""
        rgb = torch.from_numpy(image[..., ::-1].transpose(2, 0, 1).copy())
        x = normalise(rgb[None].to(self.world.device).float() / 255.0)
        if self.recipe.size is not None:
            size = fitting_size(image.shape[:2], self.recipe.size)
            x = F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True)
        return predict(network(fitted(x, entry(self.recipe.network))), image.shape[:2])

    def _sample(self, index: int) -> Sample:
        if self._kept is None:
            return self.split[index]
        if index not in self._kept:
            self._kept[index] = self.split[index]
        return self._kept[index]

    def _fits(self) -> bool:
        height, width = self.split.labels(0).shape
        return bool(len(self.mine) * 4 * height * width <= SHARE * free_bytes(torch.device("cpu")))


def channels_last(network: nn.Module) -> nn.Module:
    """Lay out weights channels last, in place (torch's types do not know this form of `to`)."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
