"""The losses of an epoch: their mean, and the batch of the first that is not a number."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rtseg.errors import TrainingError

EVERY = {"cuda": 16}
"""Iterations between two looks at the losses; each look makes a GPU wait for its work."""


class LossesSeen:
    """Collects losses on the device and looks at them in groups."""

    def __init__(self, device: torch.device) -> None:
        self.every = EVERY.get(device.type, 1)
        self.waiting: list[tuple[Tensor, int, Sequence[str]]] = []
        self.total = torch.zeros((), dtype=torch.float64)
        self.count = 0

    def add(self, loss: Tensor, iteration: int, names: Sequence[str]) -> None:
        """Raises TrainingError naming the images if a loss is not finite.

        The step gives NaN too where only the gradient is not finite.
        """
        self.waiting.append((loss.detach(), iteration, names))
        if len(self.waiting) >= self.every:
            self.look()

    def look(self) -> None:
        """Take over the losses that are waiting. Raises as `add`."""
        if not self.waiting:
            return
        values = torch.stack([loss for loss, *_ in self.waiting]).double().cpu()
        for value, (_, iteration, names) in zip(values.tolist(), self.waiting, strict=True):
            if not abs(value) < float("inf"):
                raise TrainingError(
                    f"the loss, or its gradient, is {value} at iteration {iteration} (images "
                    f"{', '.join(names)}); "
                    "lower learning_rate, or look at these images"
                )
        self.total += values.sum()
        self.count += len(self.waiting)
        self.waiting.clear()

    def mean(self) -> float:
        self.look()
        return float(self.total) / max(1, self.count)
