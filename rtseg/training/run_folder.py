"""The folder of a run, and what is in it.

recipe.json         the resolved recipe
last.pt             everything needed to go on, written after each epoch
best.safetensors    averaged weights of the best validation mIoU
final.safetensors   averaged weights at the end
results.csv         one line an epoch
curves.png          loss, learning rate and validation mIoU
confusion.png       confusion matrix of the validation split, at the end
predictions.png     images, labels and predictions of the validation split, at the end
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rtseg.errors import RecipeError, RtsegError, TrainingError
from rtseg.files import write_atomically
from rtseg.training import checkpoint
from rtseg.training.recipe import Recipe

Row = Mapping[str, float | int]
"""One line of results.csv."""


class RunFolder:
    """Reads and writes the files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last = path / "last.pt"
        self.results = path / "results.csv"

    def begin(self, recipe: Recipe, *, resume: bool, leads: bool) -> dict[str, Any] | None:
        """Make the folder; the checkpoint to go on from, if there is to be one.

        leads: this process writes. Raises RecipeError, before any data is read, for a folder that
        cannot be written, holds another run, or has no checkpoint that fits the recipe.
        """
        state = checkpoint.load(self.last, recipe.network) if resume else None
        if state is not None and state["kind"] != recipe.optimiser:
            raise RecipeError(
                f"{self.last} was trained with {state['kind']}; it cannot go on with "
                f"{recipe.optimiser}"
            )
        there = [file for file in (self.last, self.results) if file.exists()]
        if state is None and there:
            raise RecipeError(f"{there[0]} exists already: pass --resume, or another --out folder")
        if leads:
            self._make(recipe)
        return state

    def _make(self, recipe: Recipe) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "recipe.json").write_text(recipe.model_dump_json(indent=2) + "\n")
        except OSError as exc:
            raise RecipeError(f"cannot write to the folder {self.path}: {exc.strerror}") from exc

    def save(self, state: dict[str, Any], row: Row) -> None:
        """The checkpoint, then the line of the epoch that it ends."""
        with _writing(self.path):
            checkpoint.save(self.last, state)
            fresh = not self.results.exists()
            with self.results.open("a", newline="") as file:
                writer = csv.DictWriter(file, row.keys())
                if fresh:
                    writer.writeheader()
                writer.writerow(row)

    def rows(self) -> list[dict[str, float]]:
        """results.csv as numbers."""
        with self.results.open(newline="") as file:
            return [{key: float(v) for key, v in row.items()} for row in csv.DictReader(file)]

    def keep(self, name: str, data: bytes) -> None:
        """Write `name`.safetensors."""
        with _writing(self.path):
            write_atomically(self.path / f"{name}.safetensors", data)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RtsegError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise TrainingError(f"cannot write to {path}: {reason}") from exc
