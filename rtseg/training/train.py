"""The training loop: one recipe in, checkpoints and the best weights out.

out/recipe.json         the resolved recipe
out/last.pt             everything needed to go on, written after each epoch
out/best.safetensors    averaged weights of the best validation mIoU
out/results.csv         one line an epoch
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rtseg.classes import CAMVID
from rtseg.errors import RecipeError, TrainingError
from rtseg.files import write_atomically
from rtseg.metrics import ConfusionMatrix
from rtseg.networks import build, entry
from rtseg.training import checkpoint
from rtseg.training.augmentation.apply import augment
from rtseg.training.checkpoint import Ema
from rtseg.training.class_weights import count_classes
from rtseg.training.datasets import open_split
from rtseg.training.loss_sum import LossSum
from rtseg.training.recipe import Recipe
from rtseg.training.tensors import (
    fitted,
    normalise,
    predict,
    rendered_tensors,
    split_tensors,
)
from rtseg.training.weights import load_weights, pack_weights


class Trainer:
    """One run. `train()` goes from where the run stands to the end of the recipe.

    out: folder of the run; resume: go on from out/last.pt, under this recipe even if it was
    changed; device: "cpu", "cuda", …

    Raises RecipeError for data, devices and checkpoints that cannot be used, and TrainingError when
    the loss is not finite or the memory is used up.
    """

    def __init__(
        self, recipe: Recipe, data: Path, out: Path, *, resume: bool = False, device: str = "cpu"
    ) -> None:
        self.recipe, self.out, self.device = recipe, out, _device(device)
        self.row = entry(recipe.network)
        self.classes = len(CAMVID)
        torch.manual_seed(recipe.seed)  # before the weights are drawn
        self.network = _initial(recipe, self.classes)
        self.rng = torch.Generator().manual_seed(recipe.seed)
        _check_crops(recipe)
        state = self._start(resume)
        self.images, self.labels = self._load(data)
        self.val_images, self.val_labels = split_tensors(open_split(data, "val"), self.device)
        _channels_last(self.network.to(self.device))
        self.optimiser = _optimiser(self.network, recipe)
        self.ema = Ema(self.network, recipe.ema)
        self.loss = self._loss()
        self.epoch, self.best = 0, 0.0
        self.steps = len(self.images) // recipe.batch
        if self.steps == 0:
            raise RecipeError(f"{len(self.images)} images are fewer than a batch of {recipe.batch}")
        if state is not None:
            self._restore(state)

    def train(self) -> Iterator[dict[str, float | int]]:
        """Run the remaining epochs, yielding each one's row of results.csv."""
        forward: Any = self.network
        if self.recipe.compile:
            forward = torch.compile(self.network, dynamic=False)
        while self.epoch < self.recipe.epochs:
            started = time.perf_counter()
            loss = self._train_epoch(forward)
            self.epoch += 1
            seconds = time.perf_counter() - started
            row: dict[str, float | int] = {
                "epoch": self.epoch,
                "lr": self._learning_rate(self.epoch * self.steps),
                "loss": round(loss, 5),
                "images_per_s": round(self.steps * self.recipe.batch / seconds, 2),
                "val_miou": float("nan"),
            }
            if self.epoch % self.recipe.evaluate_every == 0 or self.epoch == self.recipe.epochs:
                row["val_miou"] = self._validate()
            try:
                self._save()
                self._log(row)
            except OSError as exc:
                raise TrainingError(f"cannot write to {self.out}: {exc.strerror or exc}") from exc
            yield row

    def _train_epoch(self, forward: Any) -> float:
        self.network.train()
        order = torch.randperm(len(self.images), generator=self.rng)
        total = 0.0
        for step in range(self.steps):
            batch = order[step * self.recipe.batch : (step + 1) * self.recipe.batch]
            try:
                total += self._train_step(forward, batch, self.epoch * self.steps + step)
            except torch.OutOfMemoryError as exc:
                raise TrainingError("out of memory; lower batch, or the crops of stages") from exc
        return total / self.steps

    def _train_step(self, forward: Any, batch: Tensor, iteration: int) -> float:
        stage = self.recipe.stage_at(iteration / (self.recipe.epochs * self.steps))
        images, labels = augment(
            self.images[batch], self.labels[batch], self.recipe.augment, self.rng,
            crop=stage.crop, scale=stage.scale,
        )  # fmt: skip
        for group in self._groups:
            group["lr"] = self._learning_rate(iteration)
        amp = self.recipe.amp == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=amp):
            logits = forward(normalise(images))
        inside = slice(self.row.margin, -self.row.margin or None)  # where there are logits
        loss = self.loss(logits, labels[:, inside, inside])
        value = float(loss.detach())
        if not np.isfinite(value):
            raise TrainingError(
                f"loss is {value} at iteration {iteration} (images {batch.tolist()}); "
                "lower learning_rate, or look at these images"
            )
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.ema.update(self.network)
        return value

    def _learning_rate(self, iteration: int) -> float:
        """Linear warm-up, then poly: base · (1 - t)^power (Chen et al. 2017, arXiv 1606.00915)."""
        r = self.recipe
        if iteration < r.warmup:
            return r.learning_rate * (iteration + 1) / r.warmup
        progress = (iteration - r.warmup) / max(1, r.epochs * self.steps - r.warmup)
        return float(r.learning_rate * max(0.0, 1 - progress) ** r.power)

    @torch.no_grad()
    def _validate(self) -> float:
        """mIoU of the averaged weights on the whole validation split; keeps the best weights."""
        network = build(self.recipe.network, self.classes).to(self.device)
        network.load_state_dict(self.ema.values)
        _channels_last(network.eval())
        matrix = ConfusionMatrix(self.classes)
        for image, truth in zip(self.val_images, self.val_labels, strict=True):
            logits = network(fitted(normalise(image[None].float() / 255.0), self.row))
            matrix.add(truth.cpu().numpy(), predict(logits, truth.shape))
        miou = matrix.miou()
        if miou > self.best:
            self.best = miou
            data = pack_weights(self.ema.values, self.recipe.network, CAMVID)
            write_atomically(self.out / "best.safetensors", data)
        return round(miou, 5)

    def _load(self, data: Path) -> tuple[Tensor, Tensor]:
        parts = [
            split_tensors(open_split(data, split), self.device) for split in self.recipe.splits
        ]
        if self.recipe.rendered:
            size = parts[0][0].shape[-2:]
            parts.append(
                rendered_tensors(self.recipe.rendered, size, self.recipe.seed, self.device)
            )
        images, labels = zip(*parts, strict=True)
        return torch.cat(images), torch.cat(labels)

    def _loss(self) -> LossSum:
        counts = count_classes((m.cpu().numpy() for m in self.labels), self.classes)
        return LossSum(self.recipe.losses, counts, CAMVID, self.device)

    def _start(self, resume: bool) -> dict[str, Any] | None:
        """Make the folder of the run; the checkpoint to go on from, before any data is read."""
        last = self.out / "last.pt"
        state = checkpoint.load(last, self.recipe.network) if resume else None
        if state is not None and state["kind"] != self.recipe.optimiser:
            raise RecipeError(
                f"{last} was trained with {state['kind']}; it cannot go on with "
                f"{self.recipe.optimiser}"
            )
        if state is None and last.exists():
            raise RecipeError(f"{last} exists already: pass --resume, or another --out folder")
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            (self.out / "recipe.json").write_text(self.recipe.model_dump_json(indent=2) + "\n")
        except OSError as exc:
            raise RecipeError(f"cannot write to the folder {self.out}: {exc.strerror}") from exc
        return state

    def _restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["weights"])
        settings = [{k: v for k, v in g.items() if k != "params"} for g in self._groups]
        self.optimiser.load_state_dict(state["optimiser"])
        for group, values in zip(self._groups, settings, strict=True):
            group.update(values)  # those of the recipe, which may have changed
        self.ema.values = {k: v.to(self.device) for k, v in state["ema"].items()}
        self.ema.updates = state["updates"]
        self.rng.set_state(state["rng"])
        self.epoch, self.best = state["epoch"], state["best"]

    @property
    def _groups(self) -> list[dict[str, Any]]:
        return self.optimiser.param_groups

    def _save(self) -> None:
        state = {
            "network": self.recipe.network,
            "kind": self.recipe.optimiser,
            "weights": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "ema": self.ema.values,
            "updates": self.ema.updates,
            "rng": self.rng.get_state(),
            "epoch": self.epoch,
            "best": self.best,
        }
        checkpoint.save(self.out / "last.pt", state)

    def _log(self, row: dict[str, float | int]) -> None:
        path = self.out / "results.csv"
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, row.keys())
            if fresh:
                writer.writeheader()
            writer.writerow(row)


def _initial(recipe: Recipe, classes: int) -> nn.Module:
    """A fresh network, or the one whose weights the recipe names."""
    if recipe.weights is None:
        return build(recipe.network, classes)
    network, name, _ = load_weights(Path(recipe.weights))
    if name != recipe.network:
        raise RecipeError(f"{recipe.weights} has weights of {name}; expected {recipe.network}")
    return network


def _channels_last(network: Any) -> None:
    """Lay out weights channels last, in place (torch's types do not know this form of `to`)."""
    network.to(memory_format=torch.channels_last)


def _device(name: str) -> torch.device:
    """Raises RecipeError for a device that does not exist here."""
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as exc:
        reason = str(exc).splitlines()[0]
        raise RecipeError(f"device {name!r}: {reason}; expected cpu or cuda") from exc


def _check_crops(recipe: Recipe) -> None:
    sizes = entry(recipe.network).sizes
    for height, width in (stage.crop for stage in recipe.stages):
        near = sizes.nearest(width, height)
        if near != (width, height):
            raise RecipeError(
                f"crop {(height, width)}; {recipe.network} takes multiples of {sizes.stride}: the "
                f"nearest is {near[::-1]}"
            )


def _optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """No weight decay on biases and batch norm (He et al. 2019, arXiv 1812.01187)."""
    decay = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": decay}, {"params": plain, "weight_decay": 0.0}]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            groups, recipe.learning_rate, momentum=0.9, weight_decay=recipe.weight_decay
        )
    return torch.optim.AdamW(groups, recipe.learning_rate, weight_decay=recipe.weight_decay)
