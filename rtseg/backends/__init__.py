"""Inference engines by name; a backend is one module, imported when it is chosen."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Literal, TypeAlias

from rtseg.errors import InputError

if TYPE_CHECKING:
    from rtseg.backends.base import DeviceEngine, HostEngine
    from rtseg.model import Model

BACKENDS: dict[str, str] = {"openvino": "rtseg.backends.openvino"}

Precision: TypeAlias = Literal["auto", "f32", "bf16", "f16"]


def build_engine(
    model: Model,
    size: tuple[int, int],
    *,
    backend: str = "auto",
    precision: Precision = "auto",
    streams: int = 1,
    threads: int | None = None,
) -> HostEngine | DeviceEngine:
    """Compile `model` for inputs of `size` (width, height).

    streams: how many contexts run at the same time; threads: CPU threads they share, None for
    all there are. Raises InputError for an unknown backend, EngineError if it cannot run here.
    """
    name = "openvino" if backend == "auto" else backend
    if name not in BACKENDS:
        raise InputError(f"unknown backend {name!r}; expected auto or one of {', '.join(BACKENDS)}")
    module = import_module(BACKENDS[name])
    engine: HostEngine | DeviceEngine = module.build(
        model, size, precision=precision, streams=streams, threads=threads
    )
    return engine
