"""Trained weights on disk: safetensors that name their network and its classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from rtseg.classes import LabelSet
from rtseg.contract import Class, classes_of, labels_of
from rtseg.errors import ModelError
from rtseg.networks import build


class Trained(NamedTuple):
    """A network in eval mode, its name in the registry, and what its channels mean."""

    network: nn.Module
    name: str
    classes: LabelSet


class _Classes(BaseModel):
    """The entry "classes" of the file's metadata."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label_set: str
    classes: tuple[Class, ...] = Field(min_length=1, max_length=254)


def pack_weights(
    tensors: Mapping[str, Tensor],
    name: str,
    classes: LabelSet,
    statements: Mapping[str, str] | None = None,
) -> bytes:
    """The bytes of a weights file of the network `name`.

    statements: further entries of its metadata, such as those of `Provenance`.
    """
    table = _Classes(label_set=classes.name, classes=classes_of(classes))
    metadata = {**(statements or {}), "network": name, "classes": table.model_dump_json()}
    return save({key: value.contiguous() for key, value in tensors.items()}, metadata)


def load_weights(path: Path) -> Trained:
    """The network that a weights file names, with its weights.

    Loading is strict: missing, additional or misshapen tensors raise ModelError, and so does a file
    that does not say what it holds. No code of the file is run.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as exc:
        raise ModelError(f"cannot read the weights {path}: {exc}") from exc
    if not {"network", "classes"} <= metadata.keys():
        raise ModelError(
            f"{path} does not name its network and classes; expected weights saved by rtseg"
        )
    classes = _classes(path, metadata["classes"])
    name = metadata["network"]
    network = build(name, len(classes)).eval()
    try:
        network.load_state_dict(tensors, strict=True)
    except RuntimeError as exc:
        raise ModelError(
            f"{path} does not fit {name} with {len(classes)} classes: {_first(exc)}"
        ) from exc
    return Trained(network, name, classes)


def _classes(path: Path, text: str) -> LabelSet:
    try:
        table = _Classes.model_validate_json(text)
        return labels_of(table.label_set, table.classes)
    except (ValidationError, ValueError) as exc:
        raise ModelError(f"{path}: its table of classes cannot be read: {_first(exc)}") from exc


def _first(exc: Exception) -> str:
    """An error of many lines as one, cut to what a reader takes in."""
    text = " ".join(str(exc).split())
    return text if len(text) <= 300 else text[:300] + " …"
