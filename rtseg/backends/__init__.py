"""Inference engines by name; a backend is one module, imported when it is chosen."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from rtseg.errors import EngineError, InputError, ModelError

if TYPE_CHECKING:
    from rtseg.backends.base import DeviceEngine, HostEngine
    from rtseg.model import Model

BACKENDS: dict[str, str] = {
    "tensorrt": "rtseg.backends.tensorrt",
    "torch-tensorrt": "rtseg.backends.torch_tensorrt",
    "torch": "rtseg.backends.torch",
    "openvino": "rtseg.backends.openvino",
}
"""Name → module with `build`, in the order in which `auto` prefers them."""

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

    backend: a name of `BACKENDS`, or "auto": the first of them that can run here and compiles the
    model. What it passed over on the way though it should have run, and why, is in the engine's
    `notes`. precision: "auto" is f16 on a GPU, and what is faster on a CPU.
    streams: how many contexts run at the same time; threads: CPU threads they share, None for
    all there are.

    Raises InputError for an unknown backend, ModelError for a graph that the named one cannot run,
    EngineError if it cannot run here, or lacks the precision.
    """
    options = {"precision": precision, "streams": streams, "threads": threads}
    if backend == "auto":
        return _first_that_works(model, size, options)
    if backend not in BACKENDS:
        names = ", ".join(BACKENDS)
        raise InputError(f"unknown backend {backend!r}; expected auto or one of {names}")
    from rtseg.backends.available import missing

    reason = missing(backend)
    if reason:
        raise EngineError(f"{backend} cannot run here: {reason}")
    return _build(backend, model, size, options)


def _first_that_works(
    model: Model, size: tuple[int, int], options: dict[str, Any]
) -> HostEngine | DeviceEngine:
    from rtseg.backends.available import candidates

    notes: list[str] = []
    for name in candidates(options["precision"]):
        try:
            engine = _build(name, model, size, options)
        except (EngineError, ModelError) as exc:
            last = exc
            notes.append(f"{name} could not be used: {exc}")
        else:
            engine.notes = (*notes, *engine.notes)
            return engine
    if len(notes) == 1:
        raise last
    raise EngineError("no backend could be used; " + "; ".join(notes)) from last


def _build(
    name: str, model: Model, size: tuple[int, int], options: dict[str, Any]
) -> HostEngine | DeviceEngine:
    engine: HostEngine | DeviceEngine = import_module(BACKENDS[name]).build(model, size, **options)
    return engine
