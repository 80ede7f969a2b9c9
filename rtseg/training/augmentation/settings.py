"""The table [augment] of a recipe."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AugmentSettings(BaseModel):
    """How strong each augmentation is; 0 (or false) leaves it out, together with its cost.

    All values are drawn anew for each sample. Where to crop and how far to zoom belongs to the
    stages of a recipe. Pixels are those of the crop, after zooming.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    flip: bool = Field(default=True, description="mirror half of the samples")
    rotation: float = Field(default=3.0, ge=0, le=180, description="degrees each way")
    translation: int = Field(
        default=0, ge=0, le=1024, description="pixels each way, beyond the image's edges too"
    )
    perspective: float = Field(
        default=0.0, ge=0, le=0.5, description="zoom at opposite edges differs by up to 1 ± this"
    )
    elastic: float = Field(
        default=0.0, ge=0, le=256, description="standard deviation of the displacements, in pixels"
    )
    elastic_grid: int = Field(
        default=3, ge=2, le=64, description="displacements drawn along each axis"
    )
    gamma: float = Field(default=0.0, ge=0, le=2, description="exponent up to 1 + this, or 1 / it")
    colour: float = Field(
        default=0.4, ge=0, le=1, description="strength of brightness, contrast, saturation, cast"
    )
    blur: float = Field(
        default=0.0, ge=0, le=16, description="largest standard deviation of the filter, in pixels"
    )
    noise: float = Field(
        default=0.0, ge=0, le=0.5, description="standard deviation, of a range of 0–1"
    )
    cutout: float = Field(
        default=0.0, ge=0, le=0.9, description="side of the square, as a share of the shorter side"
    )
    probability: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="share of the samples that get perspective, elastic, blur, noise, cutout; "
        "each draws for itself",
    )
