"""Keys of plans, as they would be on an H100, and what each component could be instead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rtseg.backends.plans import BuildOptions, PlanKey, model_sha256

KEY = PlanKey(
    kind="tensorrt",
    model_sha256=model_sha256(b"a model"),
    size=(480, 360),
    precision="f16",
    library="10.16.1",
    capability="sm_90",
    device="NVIDIA H100 80GB HBM3",
    cuda="13.0",
    system="linux/x86_64",
    options=BuildOptions(),
)

OTHER: dict[str, Any] = {
    "kind": "torch-tensorrt",
    "model_sha256": model_sha256(b"another model"),
    "size": (360, 480),
    "precision": "int8",
    "library": "10.15.1",
    "capability": "sm_89",
    "device": "NVIDIA L4",
    "cuda": "12.9",
    "system": "linux/aarch64",
    "options": BuildOptions(level=4),
}

OTHER_OPTIONS: dict[str, Any] = {
    "workspace_mib": 512,
    "level": 5,
    "hardware_compatible": True,
    "cuda_graph": False,
}


def changed(name: str) -> PlanKey:
    """The key with another value for one component."""
    return replace(KEY, **{name: OTHER[name]})
