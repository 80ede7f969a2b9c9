"""TensorRT 10.12 to 11: plans built from the model file, proved, compared, cached, run.

A plan is put into the cache only after the inspector showed that its convolutions are FP16
(`trt_precision`) and its labels agree with the reference engine's (`parity`).
"""

from __future__ import annotations

import platform
import time
from dataclasses import asdict
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rtseg.backends.available import pick_precision
from rtseg.backends.plan_use import CACHED, engine_of_plan, told
from rtseg.backends.plans import BuildOptions, PlanCache, PlanKey, model_sha256
from rtseg.backends.trt_engine import TensorRtEngine
from rtseg.backends.trt_module import load_module
from rtseg.device.graph import driver_call

if TYPE_CHECKING:
    from rtseg.backends.trt_progress import Progress
    from rtseg.model import Model


def build(
    model: Model,
    size: tuple[int, int],
    *,
    precision: str,
    streams: int,
    threads: int | None,
    options: BuildOptions | None = None,
    cache: PlanCache | None = None,
    progress: Progress | None = None,
) -> TensorRtEngine:
    """The engine for inputs of `size` (width, height), from the cache or built now.

    streams, threads: not needed here; each worker makes its own context. options: by default those
    of `BuildOptions()`; cache: by default the user's. Raises EngineError.
    """
    del streams, threads
    trt = load_module()
    pick_precision(precision, (TensorRtEngine.precision,), "TensorRT")
    options, cache = options or BuildOptions(), cache or PlanCache()
    compiled = partial(compile_plan, model, size, options, cache=cache, progress=progress)

    def load(plan: bytes, reason: str) -> TensorRtEngine:
        return TensorRtEngine(
            trt, plan, model, size,
            device=_device_name(), cuda_graph=options.cuda_graph,
            notes=(*told("tensorrt", reason), *cache.notes),
        )  # fmt: skip

    return engine_of_plan(lambda rebuild: compiled(rebuild=rebuild), load)


def compile_plan(
    model: Model,
    size: tuple[int, int],
    options: BuildOptions,
    *,
    cache: PlanCache,
    progress: Progress | None = None,
    rebuild: bool = False,
) -> tuple[bytes, str]:
    """(plan, why it was built or `CACHED`) for inputs of `size` (width, height).

    Builds, proves, compares and stores it unless the cache has it and not `rebuild`; of several
    processes that want the same plan one builds. Raises EngineError; then nothing is stored but the
    timing of kernels.
    """
    trt = load_module()
    key = plan_key(trt, model, size, options)
    with cache.building(key):
        found = cache.get(key)
        if found.data is not None and not rebuild:
            return found.data, CACHED
        plan = _built(trt, model, size, key, cache, progress)
        return plan, "asked for" if found.data is not None else found.reason


def _built(
    trt: Any,
    model: Model,
    size: tuple[int, int],
    key: PlanKey,
    cache: PlanCache,
    progress: Progress | None,
) -> bytes:
    """A new plan, in the cache if and only if it passed both checks."""
    from rtseg.backends.trt_build import build_plan

    start = time.perf_counter()
    plan, timing = build_plan(
        trt, model, size, key.options, timing=cache.timing(key), progress=progress
    )
    cache.put_timing(key, timing)
    seconds = round(time.perf_counter() - start, 1)
    cache.put(
        key, plan, {"build_seconds": seconds, **_checked(trt, plan, model, size, key.options)}
    )
    return plan


def _checked(
    trt: Any, plan: bytes, model: Model, size: tuple[int, int], options: BuildOptions
) -> dict[str, object]:
    """What the checks of a plan found. Raises EngineError if one fails."""
    from rtseg.backends import parity
    from rtseg.backends.trt_context import run_once
    from rtseg.backends.trt_precision import convolution_nodes, prove_half

    engine = TensorRtEngine(trt, plan, model, size, cuda_graph=options.cuda_graph)
    try:
        convolutions = prove_half(engine.information(), convolution_nodes(model))
        found = parity.check(run_once(engine), model, size)
    finally:
        engine.close()
    return {"f16_convolutions": convolutions, **asdict(found)}


def plan_key(trt: Any, model: Model, size: tuple[int, int], options: BuildOptions) -> PlanKey:
    """All that a plan depends on: model, size, TensorRT, GPU, CUDA, system, options."""
    version = int(driver_call("cuDriverGetVersion"))  # 13000 is 13.0
    return PlanKey(
        kind="tensorrt",
        model_sha256=model_sha256(model.data),
        size=size,
        precision="f16",
        library=str(trt.__version__),
        capability=_capability(),
        device=_device_name(),
        cuda=f"{version // 1000}.{version % 1000 // 10}",
        system=f"{platform.system()}/{platform.machine()}".lower(),
        options=options,
    )


def _capability() -> str:
    """Such as "sm_90"."""
    major, minor = _device().compute_capability
    return f"sm_{major}{minor}"


def _device_name() -> str:
    name = _device().name
    return name.decode() if isinstance(name, bytes) else str(name)


def _device() -> Any:
    """numba's description of the GPU that this thread uses."""
    cuda: Any = import_module("numba.cuda")
    return cuda.get_current_device()
