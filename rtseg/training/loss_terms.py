"""The losses a recipe can name, with their settings; read without torch."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rtseg.training.class_weights import LOG_OFFSET


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Term(_Settings):
    weight: float = Field(default=1.0, gt=0, description="factor of this loss in the sum")


class _Weighted(_Term):
    """class_weights: none; log, 1 / ln(offset + p); inverse, 1 / p; median frequency balancing."""

    class_weights: Literal["none", "log", "inverse", "median"] = "none"
    offset: float | None = Field(
        default=None, gt=1, description=f"of log weights; {LOG_OFFSET} if not given"
    )

    @model_validator(mode="after")
    def _offset_of_log(self) -> _Weighted:
        if self.offset is not None and self.class_weights != "log":
            raise ValueError(
                f"offset {self.offset} with class_weights {self.class_weights!r}; "
                'offset goes with class_weights = "log" only'
            )
        return self


class Border(_Settings):
    """Weights of pixels between near things, see `rtseg.training.targets.border_term`.

    sigma: pixels; things: classes or groups that come as countable objects.
    """

    w0: float = Field(default=10.0, ge=0)
    sigma: float = Field(default=5.0, gt=0)
    things: tuple[str, ...] = ("vehicle", "vulnerable")


class CrossEntropy(_Weighted):
    name: Literal["cross_entropy"] = "cross_entropy"
    smoothing: float = Field(default=0.0, ge=0, lt=1)
    border: Border | None = None


class Focal(_Weighted):
    name: Literal["focal"] = "focal"
    gamma: float = Field(default=2.0, ge=0)


class Ohem(_Weighted):
    """min_kept: pixels of a batch."""

    name: Literal["ohem"] = "ohem"
    threshold: float = Field(default=0.7, gt=0, le=1)
    min_kept: int = Field(default=100_000, ge=0)


class Dice(_Term):
    name: Literal["dice"] = "dice"
    squared: bool = False
    per_image: bool = False
    smooth: float = Field(default=1.0, ge=0)


class Lovasz(_Term):
    name: Literal["lovasz"] = "lovasz"
    per_image: bool = False


WeightedTerm: TypeAlias = CrossEntropy | Focal | Ohem
LossTerm: TypeAlias = Annotated[
    CrossEntropy | Focal | Ohem | Dice | Lovasz, Field(discriminator="name")
]

DEFAULT_LOSSES: tuple[LossTerm, ...] = (CrossEntropy(class_weights="log"),)
