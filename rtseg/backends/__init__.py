"""Inference engines by name; a backend is one module, imported when it is chosen."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from rtseg.errors import EngineError, InputError, ModelError

if TYPE_CHECKING:
    from rtseg.backends.base import DeviceEngine, HostEngine
    from rtseg.backends.plan_key import BuildOptions
    from rtseg.backends.trt_progress import Progress
    from rtseg.model import Model

BACKENDS: dict[str, str] = {
    "tensorrt": "rtseg.backends.tensorrt",
    "torch-tensorrt": "rtseg.backends.torch_tensorrt",
    "torch": "rtseg.backends.torch",
    "openvino": "rtseg.backends.openvino",
}
"""Name → module with `build`, in the order in which `auto` prefers them."""

_KEEP_PLANS = ("tensorrt", "torch-tensorrt")
_FOR_PLANS = ("options", "progress", "say")
"""Backends that keep plans, and what they alone are given."""

_ON_HOST = "openvino"
"""The one that `auto` takes where no GPU can be used."""

Precision: TypeAlias = Literal["auto", "f32", "bf16", "f16"]


def build_engine(
    model: Model,
    size: tuple[int, int],
    *,
    backend: str = "auto",
    precision: Precision = "auto",
    streams: int = 1,
    threads: int | None = None,
    options: BuildOptions | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> HostEngine | DeviceEngine:
    """Compile `model` for inputs of `size` (width, height).

    backend: a name of `BACKENDS`, or "auto": the first of them that can run here and compiles the
    model. What it passed over on the way though it should have run, and why, is in the engine's
    `notes`. precision: "auto" is f16 on a GPU, and what is faster on a CPU.
    streams: how many contexts run at the same time; threads: CPU threads they share, None for
    all there are. options: of a plan, for the backends that keep plans; progress, say: are told how
    far its build is, and what the user should know before it is over.

    Raises InputError for an unknown backend, ModelError for a graph that the named one cannot run,
    EngineError if it cannot run here, or lacks the precision.
    """
    settings = {
        "precision": precision, "streams": streams, "threads": threads,
        "options": options, "progress": progress, "say": say,
    }  # fmt: skip
    if backend == "auto":
        return _first_that_works(model, size, settings)
    if backend not in BACKENDS:
        names = ", ".join(BACKENDS)
        raise InputError(f"unknown backend {backend!r}; expected auto or one of {names}")
    from rtseg.backends.available import missing

    reason = missing(backend)
    if reason:
        raise EngineError(f"{backend} cannot run here: {reason}")
    return _build(backend, model, size, settings)


def _first_that_works(
    model: Model, size: tuple[int, int], settings: dict[str, Any]
) -> HostEngine | DeviceEngine:
    from rtseg.backends.available import candidates

    notes: list[str] = []
    last: Exception | None = None
    for name in _with_kernels(candidates(settings["precision"]), notes):
        try:
            engine = _build(name, model, size, settings)
        except (EngineError, ModelError) as exc:
            last = exc
            notes.append(f"{name} could not be used: {exc}")
        else:
            engine.notes = (*notes, *engine.notes)
            return engine
    if last is not None and len(notes) == 1:
        raise last
    raise EngineError("no backend could be used; " + "; ".join(notes)) from last


def _with_kernels(names: list[str], notes: list[str]) -> list[str]:
    """The backends without those on a GPU, and a note, if the kernels around them fail there.

    Asked before any engine is built: that can take minutes.
    """
    if names[0] == _ON_HOST:
        return names
    try:
        import_module("rtseg.kernels.cuda").compile_all()
    except Exception as exc:  # of compiler, linker and driver: their types have no base in common
        why = " ".join(str(exc).split())[:300]
        notes.append(f"no engine on the GPU could be used: the kernels fail there: {why}")
        return [name for name in names if name == _ON_HOST]
    return names


def _build(
    name: str, model: Model, size: tuple[int, int], settings: dict[str, Any]
) -> HostEngine | DeviceEngine:
    given = {k: v for k, v in settings.items() if name in _KEEP_PLANS or k not in _FOR_PLANS}
    try:
        engine: HostEngine | DeviceEngine = import_module(BACKENDS[name]).build(
            model, size, **given
        )
    except (ImportError, OSError) as exc:  # a library that is damaged, or lacks another
        raise EngineError(f"{name} cannot be loaded: {exc}") from exc
    return engine
