"""Training recipes: one TOML file that says everything about a run."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rtseg.training.augmentation.settings import AugmentSettings
from rtseg.training.loss_terms import DEFAULT_LOSSES, LossTerm
from rtseg.training.recipe_parts import Auxiliary, Stage, Teacher


class Recipe(BaseModel):
    """All settings of a run; unknown keys are errors.

    Small crops first and large ones later ("progressive learning", Tan & Le 2021,
    https://arxiv.org/abs/2104.00298) make a short run on a CPU worth while.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    network: str
    weights: str | None = Field(default=None, description="safetensors to start from")

    # Data
    data: str | None = Field(
        default=None, description="name of the data set; else told by its files"
    )
    classes: str | None = Field(default=None, description="label set that the data must have")
    splits: tuple[str, ...] = Field(default=("train",), min_length=1)
    validate_on: str = Field(default="val", description='a split; "none" for no validation')
    size: tuple[int, int] | None = Field(
        default=None, description="(height, width) that images are fitted into; else as on the disk"
    )
    rendered: int = Field(default=0, ge=0, description="synthetic frames added to each epoch")
    residence: Literal["auto", "device", "stream"] = Field(
        default="auto", description="all images on the device, or read for each batch"
    )
    workers: int | None = Field(
        default=None, ge=0, description="processes that read streamed images; else one a core"
    )
    augment: AugmentSettings = AugmentSettings()

    # Length
    epochs: int | None = Field(default=None, gt=0)
    iterations: int | None = Field(default=None, gt=0, description="instead of epochs")
    batch: int = Field(default=8, gt=0, description="images of an iteration, over all processes")
    stages: tuple[Stage, ...] = Field(min_length=1)
    evaluate_every: int = Field(default=5, gt=0, description="epochs")

    # Optimiser
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of sgd; beta 1 of adamw")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="of adamw")
    clip: float = Field(default=5.0, gt=0, description="largest norm of the gradient")
    warmup: int = Field(default=200, ge=0, description="iterations of linear warm-up")
    schedule: Literal["poly", "cosine", "constant"] = "poly"
    power: float = Field(default=0.9, gt=0, description="exponent of the poly schedule")

    # Loss
    losses: tuple[LossTerm, ...] = Field(default=DEFAULT_LOSSES, min_length=1)
    loss_stride: int = Field(
        default=1, gt=0, le=16, description="loss on every n-th pixel of each n-th row"
    )
    auxiliary: tuple[Auxiliary, ...] = ()
    teacher: Teacher | None = None

    # Arithmetic
    ema: float = Field(default=0.998, ge=0, lt=1)
    amp: Literal["none", "bf16", "fp16"] = "none"
    compile: bool = False
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _rising(self) -> Recipe:
        ends = [stage.until for stage in self.stages]
        if ends != sorted(set(ends)) or ends[-1] != 1:
            raise ValueError(f"stages end at {ends}; expected rising shares, the last one 1.0")
        return self

    @model_validator(mode="after")
    def _one_length(self) -> Recipe:
        if (self.epochs is None) == (self.iterations is None):
            raise ValueError(
                f"epochs {self.epochs} and iterations {self.iterations}; expected one of the two"
            )
        return self

    def stage_at(self, progress: float) -> Stage:
        """The stage at `progress`, the share of the run that is done (0–1)."""
        return next((s for s in self.stages if progress < s.until), self.stages[-1])
