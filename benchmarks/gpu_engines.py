"""Networks alone on the GPU, one image at a time: every engine that is there, and the roofline.

Device time by events on the context's stream, one inference behind the other; `waited_p50_ms` is
what one inference takes by the host's clock, launch and wait included. All engines of a network at
a size take turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, cast

import numpy as np
import onnx

from rtseg.backends import available, build_engine
from rtseg.benchmark.device_timing import Candidate, in_turns, spread, waited_for
from rtseg.benchmark.roofline import Bound, Rates, bound, count_layers
from rtseg.model import Model, list_models

if TYPE_CHECKING:
    from rtseg.backends.base import DeviceEngine

Size: TypeAlias = tuple[int, int]
Compiled: TypeAlias = Literal["none", "shipped", "all"]
Note: TypeAlias = Callable[[str, str], None]

SIZES: tuple[Size, ...] = ((480, 360), (1024, 512), (1920, 1080), (2048, 1024))
PEERS = (
    "fastscnn", "enet", "erfnet", "dabnet", "regseg", "ddrnet23slim", "bisenetv2", "deeplab"
)  # fmt: skip
"""The light networks of the registry that are not ours."""

NAMES = (
    "torch, CUDA graph", "torch, compiled", "torch, eager", "tensorrt", "torch-tensorrt"
)  # fmt: skip

_EXPORT = "torch", "safetensors", "onnxscript"
"""What a network that is not shipped has to be exported with."""


class Job(NamedTuple):
    """What is to be measured. size: (width, height), or the nearest that a network takes.
    rates: None where they are not known, and then there is no roofline."""

    models: tuple[str, ...]
    sizes: tuple[Size, ...]
    compiled: Compiled
    rounds: int
    rates: Rates | None


def measure(job: Job, left_out: Note, failed: Note) -> Iterator[dict[str, Any]]:
    """A row for each network, size and engine, as they are measured.

    left_out, failed: told (what, why) of what could not be.
    """
    for name in job.models:
        try:
            model, sizes = load(name, job.sizes)
        except ModuleNotFoundError as exc:
            left_out(f"engines: {name}", f"{exc.name} is not installed")
            continue
        for size in sizes:
            limit = roof(model, size, job.rates) if job.rates else None
            yield from _rows(model, size, job, limit, failed)


def load(name: str, sizes: tuple[Size, ...]) -> tuple[Model, list[Size]]:
    """A shipped model, or a network with random weights; and the sizes it takes.

    Raises ModuleNotFoundError where what exports a network is not installed.
    """
    if name in list_models():
        model = Model.load(name)
        return model, [model.check_size(size) for size in sizes]
    for module in _EXPORT:
        if find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
    from rtseg.networks import entry
    from rtseg.training.survey import random_model

    return random_model(name), [entry(name).sizes.nearest(*size) for size in sizes]


def roof(model: Model, size: Size, rates: Rates) -> Bound:
    """The least an inference takes. Raises ValueError for a graph that cannot be counted."""
    return bound(count_layers(onnx.load_model_from_string(model.data), size), rates)


def _rows(
    model: Model, size: Size, job: Job, limit: Bound | None, failed: Note
) -> Iterator[dict[str, Any]]:
    name = model.contract.name
    with ExitStack() as stack:
        running: dict[str, Candidate] = {}
        facts: dict[str, dict[str, Any]] = {}
        for kind in kinds(name, job.compiled):
            try:
                candidate, found = stack.enter_context(_running(kind, model, size))
            except Exception as exc:  # torch.compile and Triton have errors of their own
                failed(f"engines: {name} {size[0]}x{size[1]}, {kind}", first_line(exc))
                continue
            running[kind], facts[kind] = candidate, found
        times = in_turns(running, rounds=job.rounds, count=20) if running else {}
        for kind, samples in times.items():
            waited = spread(waited_for(running[kind], 50))["p50_ms"]
            base = {"model": name, "size": list(size), "engine": kind, **facts[kind]}
            yield base | row(samples, waited, limit)


def row(samples: list[float], waited: float, limit: Bound | None) -> dict[str, Any]:
    """Figures of one engine; fps: of inferences one behind the other."""
    found = spread(samples)
    figures = {**found, "fps": round(1e3 / float(np.mean(samples)), 1), "waited_p50_ms": waited}
    if limit is not None:
        figures |= {
            "gflops": round(limit.flops / 1e9, 3),
            "mbytes": round(limit.bytes / 1e6, 2),
            "layers": limit.layers,
            "bound_ms": round(limit.ms, 5),
            "bound_by_memory": round(limit.memory_share, 3),
            "share_of_roofline": round(limit.ms / found["p50_ms"], 3),
        }
    return figures


def kinds(name: str, compiled: Compiled) -> list[str]:
    """The engines to be measured that this machine has."""
    there = []
    if available.torch_gpu_missing() is None:
        there += ["torch, CUDA graph", "torch, eager"]
        if compiled == "all" or (compiled == "shipped" and name in list_models()):
            there.append("torch, compiled")
    there += [b for b in ("tensorrt", "torch-tensorrt") if available.missing(b) is None]
    return [kind for kind in NAMES if kind in there]


def absent() -> dict[str, str]:
    """Engine → why this machine does not have it."""
    why = {name: available.missing(name) for name in ("tensorrt", "torch-tensorrt")}
    why["torch"] = available.torch_gpu_missing()
    return {name: reason for name, reason in why.items() if reason}


@contextmanager
def _running(kind: str, model: Model, size: Size) -> Iterator[tuple[Candidate, dict[str, Any]]]:
    """An engine with noise in its input, and what is known of it."""
    start = time.perf_counter()
    engine = build(kind, model, size)
    try:
        context = engine.device_context()
        shape = tuple(context.input.shape)
        noise = np.random.default_rng(0).standard_normal(shape).astype(np.float16)
        context.input.copy_to_device(noise, stream=context.stream)
        context.run()
        context.stream.synchronize()
        facts = {
            "built_s": round(time.perf_counter() - start, 1),
            "graph_refused": getattr(context, "graph_refused", None),
            "notes": list(engine.notes),
        }
        yield Candidate(context.stream, context.run, keep=context), facts
    finally:
        engine.close()


def build(kind: str, model: Model, size: Size) -> DeviceEngine:
    """One of `NAMES`. Raises EngineError, ModelError."""
    if kind in ("tensorrt", "torch-tensorrt"):
        return cast("DeviceEngine", build_engine(model, size, backend=kind))
    if kind == "torch, eager":
        return _eager(model, size)
    from rtseg.backends import torch

    engine = torch.build(
        model, size, precision="f16", streams=1, threads=None, optimise=kind == "torch, compiled"
    )
    return cast("DeviceEngine", engine)


def _eager(model: Model, size: Size) -> DeviceEngine:
    """The operators launched one by one, from the same module."""
    import torch

    from rtseg.backends.onnx_module import module_of
    from rtseg.backends.torch_cuda import CudaEngine

    module: Any = module_of(model, size, torch.float16)
    module = module.to("cuda", memory_format=torch.channels_last)
    return CudaEngine("torch", lambda: module, size, cuda_graph=False)


def first_line(exc: BaseException) -> str:
    """An error in one line, with its type."""
    text = (str(exc).strip().splitlines() or [""])[0]
    return f"{type(exc).__name__}: {text}"[:300]
