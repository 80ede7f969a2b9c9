"""What weights have seen: the splits they were trained on, and what they started from.

The statement stands in the metadata of the weights file (keys "trained_on", a JSON list, and
"pretraining"); that of a checkpoint in the weights of its run. Or else it follows from the
recipe.json of the run folder that the file lies in. What none of them says is not guessed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open

from rtseg.training.datasets import folder
from rtseg.training.datasets.registry import LAYOUTS


class Provenance(NamedTuple):
    """trained_on: data sets with their splits, such as "CamVid train"; pretraining: a phrase.

    Empty and None where that is not known.
    """

    trained_on: tuple[str, ...] = ()
    pretraining: str | None = None

    def metadata(self) -> dict[str, str]:
        """The entries of a weights file's metadata that state it."""
        stated = {"trained_on": json.dumps(self.trained_on)} if self.trained_on else {}
        return stated | ({"pretraining": self.pretraining} if self.pretraining else {})


def read_provenance(weights: Path) -> Provenance:
    """What a weights file, a checkpoint or its run folder says. Damaged statements are none."""
    file = weights.parent / "best.safetensors" if weights.suffix == ".pt" else weights
    stated = _of_metadata(_metadata(file))
    run = _of_recipe(_recipe(weights.parent / "recipe.json"))
    return Provenance(stated.trained_on or run.trained_on, stated.pretraining or run.pretraining)


def _metadata(path: Path) -> Mapping[str, str]:
    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError):
        return {}


def _of_metadata(metadata: Mapping[str, str]) -> Provenance:
    try:
        parts = json.loads(metadata.get("trained_on", "[]"))
    except ValueError:
        parts = []
    listed = isinstance(parts, list) and all(isinstance(part, str) for part in parts)
    return Provenance(tuple(parts) if listed else (), metadata.get("pretraining"))


def _recipe(path: Path) -> Mapping[str, Any]:
    try:
        recipe = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return recipe if isinstance(recipe, dict) else {}


def _of_recipe(recipe: Mapping[str, Any]) -> Provenance:
    """Only a recipe that names a published data set says what the run has seen."""
    titles = {layout.name: layout.title for layout in LAYOUTS if layout.name != folder.LAYOUT.name}
    title, splits = titles.get(str(recipe.get("data"))), recipe.get("splits")
    seen = [f"{title} {split}" for split in splits] if title and isinstance(splits, list) else []
    if seen and recipe.get("rendered"):
        seen.append("rtseg.synthetic")
    weights = recipe.get("weights")
    start = f"weights of {weights}" if weights else ("none" if "weights" in recipe else None)
    return Provenance(tuple(seen), start)
