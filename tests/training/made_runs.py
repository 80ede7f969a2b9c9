"""A data set that a network learns in seconds, and recipes for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from rtseg.training.recipe import Recipe


def make_camvid(root: Path, count: int = 4) -> Path:
    """CamVid's layout, `count` images of 80x64 a split: left sky, right road."""
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        names = [f"{split}_{i}" for i in range(count)]
        (root / f"{split}.txt").write_text("\n".join(names) + "\n")
        for name in names:
            edge = int(rng.integers(16, 48))
            labels = np.full((64, 80), 3, np.uint8)
            labels[:, :edge] = 0
            labels[0, 0] = 11
            image = np.where(labels[..., None] == 3, 40, 200) + rng.integers(0, 30, (64, 80, 3))
            Image.fromarray(image.astype(np.uint8)).save(root / split / f"{name}.png")
            Image.fromarray(labels).save(root / f"{split}annot" / f"{name}.png")
    return root


PLAIN: dict[str, object] = {"flip": False, "rotation": 0.0, "colour": 0.0}
"""Augmentation that changes nothing, with `STILL`."""

STILL: list[dict[str, object]] = [{"until": 1.0, "crop": (64, 80), "scale": (1.0, 1.0)}]


def settings(**values: object) -> dict[str, object]:
    """Four epochs of dilanet-s on the whole images; `values` replace what is set here."""
    defaults: dict[str, object] = {
        "network": "dilanet-s", "epochs": 4, "batch": 2, "learning_rate": 3e-3, "warmup": 2,
        "losses": [{"name": "cross_entropy"}], "ema": 0.5, "evaluate_every": 2,
        "augment": {"colour": 0.1},
        "stages": [{"until": 1.0, "crop": (64, 80), "scale": (0.9, 1.1)}],
    }  # fmt: skip
    if "iterations" in values:
        del defaults["epochs"]
    return defaults | values


def recipe(**values: object) -> Recipe:
    """The recipe of `settings`."""
    return Recipe.model_validate(settings(**values))
