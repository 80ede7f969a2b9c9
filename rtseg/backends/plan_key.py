"""What a plan depends on: the options it is built with, and the key it is kept under."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = 1
"""Raised whenever plans kept by earlier versions of rtseg must not be used any more."""

Kind: TypeAlias = Literal["tensorrt", "torch-tensorrt"]

TITLES: dict[Kind, str] = {"tensorrt": "TensorRT", "torch-tensorrt": "torch-TensorRT"}
"""How the makers of the two kinds of plans write their names."""

_BUILDER = ("kind", "library", "capability", "device", "cuda", "system")
"""The components that say which builder on which device a plan comes from."""


class BuildOptions(BaseModel):
    """How an engine is built and run.

    workspace_mib: most memory a layer may use for intermediate results, MiB. level: the builder's
    effort, 0 (fastest build) to 5. hardware_compatible: runs on all GPUs from Ampere on, a little
    slower. cuda_graph: replay a recorded graph instead of enqueueing layer by layer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    workspace_mib: int = Field(default=1024, gt=0)
    level: int = Field(default=3, ge=0, le=5)
    hardware_compatible: bool = False
    cuda_graph: bool = True


@dataclass(frozen=True, slots=True)
class PlanKey:
    """All that a plan depends on. A plan is used only where every component is equal.

    kind: what loads it. model_sha256: of the model file's bytes. size: input (width, height).
    precision: of the convolutions, "f16". library: version of what built it. capability: of the
    device, such as "sm_90". device: its name. cuda: version of CUDA. system: operating system and
    processor architecture.
    """

    kind: Kind
    model_sha256: str
    size: tuple[int, int]
    precision: str
    library: str
    capability: str
    device: str
    cuda: str
    system: str
    options: BuildOptions

    def digest(self) -> str:
        """SHA-256 over all components and the schema, 64 hexadecimal digits.

        Whether it runs as a CUDA graph is left out: the plan is the same.
        """
        return _sha256(_values(self))

    def subject(self) -> tuple[Kind, str, tuple[int, int]]:
        """What the plan is of: kind, model and input size."""
        return self.kind, self.model_sha256, self.size

    def builder(self) -> str:
        """SHA-256 over the components that plans of one device and library have in common."""
        return _sha256({name: getattr(self, name) for name in _BUILDER})


def model_sha256(data: bytes) -> str:
    """SHA-256 of a model file's bytes, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def differences(old: PlanKey, new: PlanKey) -> list[str]:
    """What sets a kept plan (`old`) apart from the wanted one, a phrase for each component."""
    phrases = []
    for name in (field.name for field in fields(PlanKey)):
        before, after = getattr(old, name), getattr(new, name)
        if name == "options":
            phrases += _option_differences(before, after)
        elif before != after:
            phrases.append(_phrase(name, before, after, TITLES[old.kind]))
    return phrases


def _option_differences(old: BuildOptions, new: BuildOptions) -> list[str]:
    wanted = _built_with(new)
    return [
        f"built with {name} = {value}, wanted is {wanted[name]}"
        for name, value in _built_with(old).items()
        if value != wanted[name]
    ]


def _phrase(name: str, old: Any, new: Any, title: str) -> str:
    if name == "model_sha256":
        return "built from another model file"
    if name == "size":
        return f"built for {old[0]}x{old[1]}, wanted is {new[0]}x{new[1]}"
    if name in ("kind", "precision"):
        return f"built as {old}, wanted is {new}"
    origin = {"library": f"by {title}", "capability": "for", "cuda": "with CUDA"}.get(name, "on")
    return f"built {origin} {old}, here is {new}"


def _values(key: PlanKey) -> dict[str, Any]:
    values = {field.name: getattr(key, field.name) for field in fields(key)}
    return values | {"options": _built_with(key.options), "schema": SCHEMA}


def _built_with(options: BuildOptions) -> dict[str, Any]:
    """The options that the builder is given: a plan can be run with a CUDA graph and without."""
    return options.model_dump(exclude={"cuda_graph"})


def _sha256(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
