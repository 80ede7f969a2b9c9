"""The training loop: one recipe in, checkpoints and weights out (files: `RunFolder`)."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, nn

from rtseg.classes import LabelSet
from rtseg.errors import RecipeError, TrainingError
from rtseg.metrics import ConfusionMatrix
from rtseg.networks import build, entry
from rtseg.training.checkpoint import Ema
from rtseg.training.datasets import Split, open_split
from rtseg.training.learner import Learner
from rtseg.training.losses_seen import LossesSeen
from rtseg.training.mixture import open_training, provenance
from rtseg.training.optimisation import learning_rate, restore
from rtseg.training.recipe import Recipe
from rtseg.training.run_folder import RunFolder
from rtseg.training.sources import open_source
from rtseg.training.step import Step
from rtseg.training.validation import Validator, channels_last
from rtseg.training.weights import load_weights, pack_weights
from rtseg.training.world import World


class Trainer:
    """One run. `train()` goes from where the run stands to the end of the recipe.

    out: folder of the run; resume: go on from out/last.pt, under this recipe even if it was
    changed; world: the processes that train together, one on the CPU by default.

    All that is random in an epoch follows from the recipe's seed and the number of the epoch, so a
    run that was stopped goes on as if it had not been.

    Raises RecipeError for data and checkpoints that cannot be used, and TrainingError when the loss
    is not finite or the memory is used up.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: Path,
        out: Path,
        *,
        resume: bool = False,
        world: World | None = None,
    ) -> None:
        self.recipe, self.world = recipe, world or World(torch.device("cpu"))
        _check_crops(recipe)
        self.folder = RunFolder(out)
        state = self.folder.begin(recipe, resume=resume, leads=self.world.leads)
        samples, self.classes = open_training(recipe, data)
        validation = _validation(recipe, data, self.classes)
        self.provenance = provenance(recipe, data)
        torch.manual_seed(recipe.seed)  # before the weights are drawn
        self.network = _initial(recipe, self.classes)
        learner = Learner(self.network, recipe.auxiliary, len(self.classes))
        with _memory():
            channels_last(learner.to(self.world.device))
            self.source = open_source(samples, recipe, self.world.device)
        self.validator = Validator(validation, recipe, self.world) if validation else None
        counts = self.source.counts(len(self.classes))
        self.step = Step(learner, recipe, counts, self.classes, self.world)
        self.ema = Ema(self.network, recipe.ema)
        self.epoch, self.best = 0, 0.0
        self.steps = _steps(recipe, len(self.source.names), self.world)
        self.iterations = recipe.iterations or self.steps * (recipe.epochs or 0)
        self.epochs = math.ceil(self.iterations / self.steps)
        self.matrix: ConfusionMatrix | None = None  # of the last validation
        if state is not None:
            self._restore(state)

    def train(self) -> Iterator[dict[str, float | int]]:
        """Run the remaining epochs, yielding each one's row of results.csv.

        waiting: share of the time in which the training had no data to work on.
        """
        while self.epoch < self.epochs:
            row = self._train_epoch()
            row["val_miou"] = self._validate() if self._is_due() else float("nan")
            if self.world.leads:
                self.folder.save(self._state(), row)
                if self.epoch == self.epochs:
                    self._keep("final")
            yield row

    def _train_epoch(self) -> dict[str, float | int]:
        self.step.learner.train()
        started, waited, seen = time.perf_counter(), 0.0, LossesSeen(self.world.device)
        first = self.epoch * self.steps
        groups = self._groups()
        rng = _generator(self.recipe.seed, self.epoch, 1 + self.world.rank)
        torch.manual_seed(rng.initial_seed())  # of dropout
        # Crops have few sizes, for each of which cuDNN looks for its fastest algorithm.
        cudnn = torch.backends.cudnn
        kept = {"deterministic": cudnn.deterministic, "allow_tf32": cudnn.allow_tf32}
        with _memory(), cudnn.flags(enabled=cudnn.enabled, benchmark=True, **kept):
            batches = self.source.batches(groups)
            for iteration, group in enumerate(groups, first):
                asked = time.perf_counter()
                batch = next(batches)
                waited += time.perf_counter() - asked
                stage = self.recipe.stage_at(iteration / self.iterations)
                rate = learning_rate(self.recipe, iteration, self.iterations)
                loss = self.step(batch, stage, rate, rng)
                seen.add(loss, iteration, [self.source.names[i] for i in group])
                self.ema.update(self.network)
        mean = self.world.total(torch.tensor(seen.mean(), dtype=torch.float64)) / self.world.size
        seconds = time.perf_counter() - started
        self.epoch += 1
        return {
            "epoch": self.epoch,
            "lr": learning_rate(self.recipe, first + len(groups), self.iterations),
            "loss": round(float(mean), 5),
            "images_per_s": round(len(groups) * self.recipe.batch / seconds, 2),
            "waiting": round(waited / seconds, 4),
        }

    def _groups(self) -> list[list[int]]:
        """The indices of this process's part of each batch of the epoch."""
        rng = _generator(self.recipe.seed, self.epoch, 0)
        order = torch.randperm(len(self.source.names), generator=rng).tolist()
        size = self.recipe.batch
        count = min(self.steps, self.iterations - self.epoch * self.steps)
        return [self.world.share(order[i * size : (i + 1) * size]) for i in range(count)]

    def _is_due(self) -> bool:
        return self.epoch % self.recipe.evaluate_every == 0 or self.epoch == self.epochs

    def _validate(self) -> float:
        """mIoU of the averaged weights on the validation split; keeps the best weights."""
        if self.validator is None:
            return float("nan")
        self.matrix = self.validator.measure(self.ema.values)
        miou = self.matrix.miou()
        if miou > self.best:
            self.best = miou
            if self.world.leads:
                self._keep("best")
        return round(miou, 5)

    def _keep(self, name: str) -> None:
        seen = self.provenance.metadata()
        data = pack_weights(self.ema.values, self.recipe.network, self.classes, seen)
        self.folder.keep(name, data)

    def _state(self) -> dict[str, Any]:
        return {
            "network": self.recipe.network,
            "classes": list(self.classes.names),
            "kind": self.recipe.optimiser,
            "weights": self.network.state_dict(),
            "heads": self.step.learner.heads.state_dict(),
            "optimiser": self.step.optimiser.state_dict(),
            "scaler": self.step.scaler.state_dict(),
            "ema": self.ema.values,
            "updates": self.ema.updates,
            "epoch": self.epoch,
            "best": self.best,
        }

    def _restore(self, state: dict[str, Any]) -> None:
        if state["classes"] != list(self.classes.names):
            raise RecipeError(
                f"{self.folder.last} has {len(state['classes'])} classes, the data has "
                f"{len(self.classes)} ({self.classes.name}); expected the same"
            )
        try:
            self.network.load_state_dict(state["weights"])
            self.step.learner.heads.load_state_dict(state["heads"])
            restore(self.step.optimiser, state["optimiser"])
        except (RuntimeError, ValueError) as exc:
            reason = " ".join(str(exc).split())[:200]
            raise RecipeError(f"{self.folder.last} does not fit the recipe: {reason}") from exc
        self.step.scaler.load_state_dict(state["scaler"])
        self.ema.values = {k: v.to(self.world.device) for k, v in state["ema"].items()}
        self.ema.updates = state["updates"]
        self.epoch, self.best = state["epoch"], state["best"]


def _generator(seed: int, epoch: int, stream: int) -> Generator:
    """Random numbers of their own for each epoch, and for each use in it."""
    mixed = np.random.SeedSequence([seed, epoch, stream]).generate_state(1, np.uint64)
    return Generator().manual_seed(int(mixed[0] >> 1))


def _initial(recipe: Recipe, classes: LabelSet) -> nn.Module:
    """A fresh network, or the one whose weights the recipe names."""
    if recipe.weights is None:
        return build(recipe.network, len(classes))
    network, name, found = load_weights(Path(recipe.weights))
    if name != recipe.network:
        raise RecipeError(f"{recipe.weights} has weights of {name}; expected {recipe.network}")
    if found.names != classes.names:
        raise RecipeError(
            f"{recipe.weights} is for the {len(found)} classes of {found.name}; the data has the "
            f"{len(classes)} of {classes.name}"
        )
    return network


def _validation(recipe: Recipe, data: Path, classes: LabelSet) -> Split | None:
    if recipe.validate_on == "none":
        return None
    split = open_split(data, recipe.validate_on, recipe.data)
    assert split.classes == classes  # one data set, one label set
    return split


def _steps(recipe: Recipe, images: int, world: World) -> int:
    """Iterations of an epoch. Raises RecipeError for a batch that cannot be made."""
    if images < recipe.batch:
        raise RecipeError(f"{images} images are fewer than a batch of {recipe.batch}")
    if recipe.batch % world.size:
        raise RecipeError(
            f"batch {recipe.batch} cannot be divided among {world.size} processes equally"
        )
    return images // recipe.batch


def _check_crops(recipe: Recipe) -> None:
    sizes = entry(recipe.network).sizes
    for height, width in (stage.crop for stage in recipe.stages):
        near = sizes.nearest(width, height)
        if near != (width, height):
            raise RecipeError(
                f"crop {(height, width)}; {recipe.network} takes multiples of {sizes.stride}: the "
                f"nearest is {near[::-1]}"
            )


@contextmanager
def _memory() -> Iterator[None]:
    """Says what to lower where the memory is used up."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as exc:
        raise TrainingError(f"out of memory; {LOWER}") from exc
    except RuntimeError as exc:
        if "can't allocate memory" not in str(exc):
            raise
        raise TrainingError(f"out of memory; {LOWER}") from exc


LOWER = 'lower batch, or the crops of stages; if images fill it, set residence = "stream"'
