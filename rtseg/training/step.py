"""One iteration: augment, forward, loss, backward, update."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor, nn

from rtseg.classes import LabelSet
from rtseg.networks import entry
from rtseg.training.augmentation.apply import augment
from rtseg.training.class_weights import ClassCounts
from rtseg.training.distillation import load_teacher, soft_cross_entropy
from rtseg.training.learner import Learner
from rtseg.training.loss_sum import LossSum
from rtseg.training.optimisation import gradient_scaler, optimiser
from rtseg.training.recipe import Recipe
from rtseg.training.recipe_parts import Stage
from rtseg.training.sources import Batch
from rtseg.training.tensors import normalise
from rtseg.training.world import World

AMP = {"none": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Step:
    """What turns a batch into better weights.

    counts: of the training data, for class weights.
    """

    def __init__(
        self, learner: Learner, recipe: Recipe, counts: ClassCounts, classes: LabelSet, world: World
    ) -> None:
        self.recipe, self.device, self.learner = recipe, world.device, learner
        self.margin = entry(recipe.network).margin
        self.loss = LossSum(recipe.losses, counts, classes, world.device)
        self.teacher: Any = None
        if recipe.teacher is not None:
            self.teacher = load_teacher(recipe.teacher, classes, world.device)
        self.optimiser = optimiser(learner, recipe)
        self.scaler = gradient_scaler(recipe, world.device)
        self.forward: Any = world.parallel(learner)
        if recipe.compile:
            self.forward = torch.compile(self.forward, dynamic=False)
            self.teacher = self.teacher and torch.compile(self.teacher, dynamic=False)

    def __call__(self, batch: Batch, stage: Stage, rate: float, rng: Generator) -> Tensor:
        """Run one iteration at the learning rate `rate`; the loss, a scalar on the device."""
        images, labels = augment(
            *batch, self.recipe.augment, rng, crop=stage.crop, scale=stage.scale
        )
        loss = self._loss(normalise(images), self._scored(labels, rng))
        norm = self._update(loss, rate)
        if self.scaler.is_enabled():  # it leaves out what is too large for fp16
            return loss.detach()
        return loss.detach() + 0 * norm  # NaN if a gradient is not finite, though the loss was

    def _loss(self, images: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(
            self.device.type, AMP[self.recipe.amp], enabled=self.recipe.amp != "none"
        ):
            logits, *inner = self.forward(images)
        loss = self.loss(logits, labels)
        for head, scores in zip(self.recipe.auxiliary, inner, strict=True):
            loss = loss + head.weight * self.loss(scores, labels)
        return loss if self.teacher is None else loss + self._distilled(logits, images)

    def _distilled(self, logits: Tensor, images: Tensor) -> Tensor:
        how = self.recipe.teacher
        assert how is not None
        with (
            torch.no_grad(),
            torch.autocast(
                self.device.type, AMP[self.recipe.amp], enabled=self.recipe.amp != "none"
            ),
        ):
            target = self.teacher(images)
        return how.weight * soft_cross_entropy(logits, target, how.temperature)

    def _scored(self, labels: Tensor, rng: Generator) -> Tensor:
        """The labels that the loss looks at: where there are logits, every n-th pixel.

        The start is random, so every pixel has its turn and the half pixel by which the thinned
        grid is off averages out.
        """
        inside, n = slice(self.margin, -self.margin or None), self.recipe.loss_stride
        labels = labels[:, inside, inside]
        if n == 1:
            return labels
        y, x = torch.randint(n, (2,), generator=rng).tolist()
        return labels[:, y::n, x::n].contiguous()

    def _update(self, loss: Tensor, rate: float) -> Tensor:
        """One step of the optimiser; the norm of the gradient before it was clipped."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(self.scaler.scale(loss))
        self.scaler.unscale_(self.optimiser)
        norm = nn.utils.clip_grad_norm_(self.learner.parameters(), self.recipe.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return norm
