"""The contract a model file carries: everything needed to use it, nothing to guess."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from rtseg.classes import Group, Label, LabelSet

KEY = "rtseg.contract"
"""Name of the ONNX metadata entry that holds the contract as JSON."""

_OPTIONAL = frozenset(("trained_on", "pretraining"))

Triple = tuple[float, float, float]
Byte = Annotated[int, Field(ge=0, le=255)]


class Class(BaseModel):
    """One class: its name, its colour (R, G, B) and its group. The id is its position."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    colour: tuple[Byte, Byte, Byte]
    group: Group


class Measured(BaseModel):
    """Accuracy of the deployed file, all 0–1; iou has one value a class, in order.

    resolution: (width, height) of the labels; None if they are of several sizes, or in files that
    do not say. mean_accuracy: mean recall of the classes. boundary_f: mean boundary F-score, 3 px.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    split: str
    images: int
    engine: str
    resolution: tuple[int, int] | None = None
    miou: float = Field(ge=0, le=1)
    pixel_accuracy: float = Field(ge=0, le=1)
    mean_accuracy: float | None = Field(default=None, ge=0, le=1)
    boundary_f: float | None = Field(default=None, ge=0, le=1)
    iou: tuple[float | None, ...]


class Contract(BaseModel):
    """What a model file promises. Checked against its graph whenever it is loaded.

    stride: input width and height are multiples of this. output_stride: input over logits size.
    trained_size: (width, height) in pixels that the network was trained for.
    order, mean, std, resize: preprocessing, (x / 255 - mean) / std of bilinearly resized pixels.
    parameters; gmacs: multiply-accumulates at `trained_size`, in 1e9.
    training: a sentence. trained_on: data sets with their splits, such as "CamVid train"; empty and
    None (pretraining) mean that the file does not say.
    sha256: digest of the graph and its weights (see `rtseg.model.digest`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    network: str
    stride: int = Field(gt=0, le=128)
    output_stride: int = Field(gt=0, le=128)
    trained_size: tuple[int, int]
    order: Literal["rgb"] = "rgb"
    mean: Triple
    std: Triple
    resize: Literal["bilinear"] = "bilinear"
    label_set: str
    classes: tuple[Class, ...] = Field(min_length=1, max_length=254)
    parameters: int
    gmacs: float
    training: str
    trained_on: tuple[str, ...] = ()
    pretraining: str | None = None
    licence: str
    measured: Measured | None = None
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _consistent(self) -> Contract:
        if min(self.std) <= 0:
            raise ValueError(f"std {self.std}; expected three positive values")
        if min(self.trained_size) < self.stride:
            raise ValueError(f"trained_size {self.trained_size} is below stride {self.stride}")
        if self.measured and len(self.measured.iou) != len(self.classes):
            raise ValueError(f"{len(self.measured.iou)} IoU for {len(self.classes)} classes")
        return self

    @model_serializer(mode="wrap")
    def _stated(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what is not stated: files from before these keys keep their digest."""
        values: dict[str, Any] = handler(self)
        return {key: v for key, v in values.items() if key not in _OPTIONAL or v}

    def labels(self) -> LabelSet:
        """The classes as a label set."""
        return labels_of(self.label_set, self.classes)


def labels_of(name: str, classes: Iterable[Class]) -> LabelSet:
    """The contract's table as a label set. Raises ValueError for a name that occurs twice."""
    rows = (Label(i, c.name, c.colour, c.group) for i, c in enumerate(classes))
    return LabelSet(name, tuple(rows))


def classes_of(labels: LabelSet) -> tuple[Class, ...]:
    """A label set as the contract's table."""
    return tuple(Class(name=c.name, colour=c.colour, group=c.group) for c in labels)
