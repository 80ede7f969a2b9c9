"""Tables of a recipe that have settings of their own."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Stage(_Part):
    """A part of the schedule. until: share of the iterations at which it ends (0–1].

    crop: (height, width) of the training crops; scale: range of the zoom factors.
    """

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


class Auxiliary(_Part):
    """A head that scores features inside the network, in training only (deep supervision).

    at: the module whose output it reads, by its path in the network, such as "context.6"; weight:
    factor of its loss. Lee et al. 2015, https://arxiv.org/abs/1409.5185; the head is that of
    PSPNet, Zhao et al. 2017, https://arxiv.org/abs/1612.01105.
    """

    at: str
    weight: float = Field(default=0.4, gt=0)


class Teacher(_Part):
    """A trained network whose answers on the same crops are learnt as well (distillation).

    weights: its safetensors; weight: factor of that loss; temperature: softens both answers.
    Hinton et al. 2015, https://arxiv.org/abs/1503.02531.
    """

    weights: str
    weight: float = Field(default=1.0, gt=0)
    temperature: float = Field(default=2.0, gt=0)
