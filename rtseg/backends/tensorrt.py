"""TensorRT 10.12 to 11: plans built from the model file, proved, compared, cached, run.

A plan is put into the cache only after the inspector showed that its convolutions are FP16
(`trt_precision`) and its labels agree with the reference engine's (`parity`).
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from rtseg.backends.available import pick_precision
from rtseg.backends.plan_use import (
    UnfitError,
    engine_of_plan,
    kept_or_built,
    needing_a_folder,
    told,
)
from rtseg.backends.plans import BuildOptions, PlanCache, PlanKey, model_sha256
from rtseg.backends.trt_context import run_once, start_cuda
from rtseg.backends.trt_engine import TensorRtEngine
from rtseg.backends.trt_module import load_module
from rtseg.device import driver, failures

if TYPE_CHECKING:
    from rtseg.backends.trt_progress import Progress
    from rtseg.model import Model


@needing_a_folder()
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
    say: Callable[[str], None] | None = None,
) -> TensorRtEngine:
    """The engine for inputs of `size` (width, height), from the cache or built now.

    streams, threads: not needed here; each worker makes its own context. options: by default those
    of `BuildOptions()`; cache: by default the user's, which tells `say` what it does. Raises
    EngineError.
    """
    del streams, threads
    trt = load_module()
    pick_precision(precision, (TensorRtEngine.precision,), "TensorRT")
    options, cache = options or BuildOptions(), cache or PlanCache(say=say)
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
    build = partial(_built, trt, model, key, cache, progress)
    return kept_or_built(cache, key, build, rebuild=rebuild)


def _built(
    trt: Any, model: Model, key: PlanKey, cache: PlanCache, progress: Progress | None
) -> bytes:
    """A new plan, in the cache if and only if it passed both checks."""
    from rtseg.backends.trt_build import build_plan

    start = time.perf_counter()
    plan, timing = build_plan(
        trt, model, key.size, key.options, timing=cache.timing(key), progress=progress
    )
    cache.put_timing(key, timing)
    seconds = round(time.perf_counter() - start, 1)
    cache.put(key, plan, {"build_seconds": seconds, **checked(trt, plan, model, key, cache)})
    return plan


def checked(
    trt: Any, plan: bytes, model: Model, key: PlanKey, cache: PlanCache, *, foreign: bool = False
) -> dict[str, object]:
    """What the checks of a plan found, for its record. Raises EngineError if one fails.

    foreign: it was built elsewhere, and need not let the inspector tell its types.
    """
    from rtseg.backends import parity

    engine = TensorRtEngine(trt, plan, model, key.size, cuda_graph=key.options.cuda_graph)
    try:
        proof = _proved(engine, model, key, cache, foreign)
        found = parity.check(run_once(engine), model, key.size)
    finally:
        engine.close()
    return {**proof, **asdict(found)}


def _proved(
    engine: TensorRtEngine, model: Model, key: PlanKey, cache: PlanCache, foreign: bool
) -> dict[str, object]:
    """What proves that its convolutions are FP16; what the inspector said is kept if nothing."""
    from rtseg.backends.trt_precision import NamesOnlyError, convolution_nodes, prove_half

    information = engine.information()
    try:
        return prove_half(information, convolution_nodes(model))._asdict()
    except UnfitError as exc:
        if foreign and isinstance(exc, NamesOnlyError):
            return {"f16_proved": False}
        path = cache.put_layers(key, information)
        raise UnfitError(f"{exc} (what the inspector says: {path})" if path else str(exc)) from exc


def plan_key(trt: Any, model: Model, size: tuple[int, int], options: BuildOptions) -> PlanKey:
    """All that a plan depends on: model, size, TensorRT, GPU, CUDA, system, options."""
    version = driver.cuda_version()
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
    """numba's description of the GPU that this thread uses. Raises EngineError."""
    cuda = start_cuda()
    with failures.translated("asking for its name"):
        return cuda.get_current_device()
