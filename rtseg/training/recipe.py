"""Training recipes: one TOML file that says everything about a run."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rtseg.errors import RecipeError
from rtseg.training.augmentation.settings import AugmentSettings
from rtseg.training.loss_terms import DEFAULT_LOSSES, LossTerm


class Stage(BaseModel):
    """A part of the schedule. until: share of the iterations at which it ends (0–1].

    crop: (height, width) of the training crops; scale: range of the zoom factors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    until: float = Field(gt=0, le=1)
    crop: tuple[int, int]
    scale: tuple[float, float]

    @model_validator(mode="after")
    def _positive(self) -> Stage:
        if min(self.crop) <= 0 or not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(
                f"crop {self.crop}, scale {self.scale}; expected sizes and 0 < low <= high"
            )
        return self


class Recipe(BaseModel):
    """All settings of a run; unknown keys are errors.

    Small crops first and large ones later ("progressive learning", Tan & Le 2021,
    https://arxiv.org/abs/2104.00298) make a short run on a CPU worth while.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str
    weights: str | None = Field(default=None, description="safetensors to start from")
    data: Literal["camvid"] = "camvid"
    splits: tuple[str, ...] = ("train",)
    epochs: int = Field(gt=0)
    batch: int = Field(default=8, gt=0)
    stages: tuple[Stage, ...] = Field(min_length=1)
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: int = Field(default=200, ge=0, description="iterations of linear warm-up")
    power: float = Field(default=0.9, gt=0, description="exponent of the poly schedule")
    losses: tuple[LossTerm, ...] = Field(default=DEFAULT_LOSSES, min_length=1)
    augment: AugmentSettings = AugmentSettings()
    rendered: int = Field(default=0, ge=0, description="synthetic frames added to each epoch")
    ema: float = Field(default=0.998, ge=0, lt=1)
    amp: Literal["none", "bf16"] = "none"
    compile: bool = False
    evaluate_every: int = Field(default=5, gt=0, description="epochs")
    seed: int = 0

    @model_validator(mode="after")
    def _rising(self) -> Recipe:
        ends = [stage.until for stage in self.stages]
        if ends != sorted(set(ends)) or ends[-1] != 1:
            raise ValueError(f"stages end at {ends}; expected rising shares, the last one 1.0")
        return self

    def stage_at(self, progress: float) -> Stage:
        """The stage at `progress`, the share of the run that is done (0–1)."""
        return next((s for s in self.stages if progress < s.until), self.stages[-1])


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file, or a shipped one by name; `overrides` are "key=value" in TOML syntax.

    Raises RecipeError naming the file and the key that is wrong.
    """
    try:
        values = tomllib.loads(_find(path).read_text())
        for text in overrides:
            values = _merged(values, _override(text))
        return Recipe.model_validate(values)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as exc:
        raise RecipeError(f"{path} is not a recipe in TOML: {exc}") from exc
    except ValidationError as exc:
        first: Any = exc.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        got = "" if isinstance(first["input"], dict) else f", got {first['input']!r}"
        raise RecipeError(f"{path}: {key or 'recipe'}: {first['msg']}{got}") from exc


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files("rtseg.training") / "recipes"
    return sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name != "__init__.py")


def _find(path: str | Path) -> Path:
    file = Path(path)
    if file.is_file():
        return file
    shipped = Path(str(resources.files("rtseg.training") / "recipes" / f"{path}.toml"))
    if shipped.is_file():
        return shipped
    raise RecipeError(
        f"no recipe {str(path)!r}: expected a TOML file or one of {', '.join(shipped_recipes())}"
    )


def _override(text: str) -> dict[str, Any]:
    key, separator, value = text.partition("=")
    if not separator:
        raise RecipeError(f"override {text!r}; expected key=value, such as epochs=20")
    try:
        return tomllib.loads(f"{key} = {value}")
    except tomllib.TOMLDecodeError:  # a bare word is a string
        nested: Any = value.strip()
        for part in reversed(key.split(".")):
            nested = {part.strip(): nested}
        return dict(nested)


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`values` with `changes` laid over them; tables are merged, all else is replaced."""
    merged = dict(values)
    for key, new in changes.items():
        old = values.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            new = _merged(old, new)
        merged[key] = new
    return merged
