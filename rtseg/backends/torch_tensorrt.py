"""torch-TensorRT: the module of a model file, compiled into one TensorRT engine that torch runs.

FP16 is in the module's weights. The library's `enabled_precisions` is not used: since 2.13 it
is ignored without a word. Neither is its own engine cache, which lies in /tmp and does not ask for
weights, versions or GPU: programs are kept in `rtseg.backends.plans`.
API: https://docs.pytorch.org/TensorRT/py_api/dynamo.html
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rtseg.backends import available
from rtseg.backends.installed import tensorrt_version
from rtseg.backends.onnx_module import module_of
from rtseg.backends.plan_use import (
    PlanRefusedError,
    engine_of_plan,
    kept_or_built,
    needing_a_folder,
    told,
)
from rtseg.backends.plans import BuildOptions, PlanCache, PlanKey, model_sha256
from rtseg.backends.torch_cuda import CudaEngine, Forward, check_device, first_line, translated
from rtseg.errors import EngineError

if TYPE_CHECKING:
    from rtseg.backends.trt_progress import Progress
    from rtseg.model import Model

_DEVICE = "cuda"


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
) -> CudaEngine:
    """The engine for inputs of `size` (width, height), from the cache or built now.

    streams, threads: not needed here; each worker makes its own context. options: by default those
    of `BuildOptions()`; cache: by default the user's, which tells `say` what it does. progress: the
    compiler tells nobody how far it is. Raises EngineError.
    """
    del streams, threads, progress
    available.pick_precision(precision, ("f16",), "torch-TensorRT")
    options, cache = options or BuildOptions(), cache or PlanCache(say=say)

    def load(program: bytes, reason: str) -> CudaEngine:
        return engine_of(program, size, options, (*told("torch-tensorrt", reason), *cache.notes))

    return engine_of_plan(
        lambda rebuild: compile_program(model, size, options, cache=cache, rebuild=rebuild), load
    )


def compile_program(
    model: Model,
    size: tuple[int, int],
    options: BuildOptions,
    *,
    cache: PlanCache,
    rebuild: bool = False,
) -> tuple[bytes, str]:
    """(program, why it was built or `CACHED`) for inputs of `size` (width, height).

    A program is a saved `torch.export.ExportedProgram`. It is built, compared with the reference
    and stored unless the cache has it and not `rebuild`. Raises EngineError; then no program is
    stored.
    """
    library = load_library()
    key = program_key(library, model, size, options)
    build = partial(_built, library, model, key, cache)
    return kept_or_built(cache, key, build, rebuild=rebuild)


def load_library() -> Any:
    """The module `torch_tensorrt`, with the torch and the TensorRT it was built for.

    Asks the driver and compares versions before anything is loaded. Raises EngineError with what
    to install.
    """
    reason = available.missing("torch-tensorrt")
    if reason:
        raise EngineError(f"torch-TensorRT cannot run here: {reason}")
    check_device()
    try:
        return import_module("torch_tensorrt")
    except (ImportError, OSError, RuntimeError) as exc:  # a missing library, or one that clashes
        raise EngineError(f"torch-TensorRT cannot be loaded: {exc}") from exc


def program_key(
    library: Any, model: Model, size: tuple[int, int], options: BuildOptions
) -> PlanKey:
    """All that a program depends on; library holds the versions of all three."""
    major, minor = torch.cuda.get_device_capability()
    return PlanKey(
        kind="torch-tensorrt",
        model_sha256=model_sha256(model.data),
        size=size,
        precision="f16",
        library=f"{library.__version__} (torch {torch.__version__}, TensorRT {tensorrt_version()})",
        capability=f"sm_{major}{minor}",
        device=torch.cuda.get_device_name(),
        cuda=str(torch.version.cuda),
        system=f"{platform.system()}/{platform.machine()}".lower(),
        options=options,
    )


def engine_of(
    program: bytes,
    size: tuple[int, int],
    options: BuildOptions,
    notes: tuple[str, ...] = (),
) -> CudaEngine:
    """An engine that runs a program. Raises EngineError.

    Each context loads it for itself: the library runs one TensorRT context a loaded program.
    """
    return CudaEngine(
        "torch-tensorrt",
        lambda: load_program(program),
        size,
        cuda_graph=options.cuda_graph,
        notes=notes,
    )


def load_program(program: bytes) -> Forward:
    """The callable of a saved program, on the GPU. Raises EngineError, PlanRefusedError.

    Loading unpickles parts of it and hands native code to TensorRT, so it must be a program that
    this machine built: `PlanCache` gives back only what lies in a folder of mode 0700 of the user's
    and has the hash that was noted when it was built.
    """
    library = load_library()
    with (
        TemporaryDirectory(prefix="rtseg-") as folder,
        translated("loading the program"),
        _failures("load the program", PlanRefusedError),
    ):
        path = Path(folder) / "program.pt2"
        path.write_bytes(program)
        module = library.load(str(path)).module()
    return lambda image: _single(module(image))


def _single(output: Any) -> Tensor:
    """The one output of a program, which may come in a tuple."""
    logits: Tensor = output[0] if isinstance(output, tuple | list) else output
    return logits


def _built(library: Any, model: Model, key: PlanKey, cache: PlanCache) -> bytes:
    """A new program, in the cache if and only if it agrees with the reference."""
    start = time.perf_counter()
    program = _compiled(library, model, key, cache)
    seconds = round(time.perf_counter() - start, 1)
    cache.put(key, program, {"build_seconds": seconds, **checked(program, model, key)})
    return program


def _compiled(library: Any, model: Model, key: PlanKey, cache: PlanCache) -> bytes:
    """The program of a model file. Raises EngineError."""
    size = key.size
    image = torch.zeros(1, 3, size[1], size[0], dtype=torch.float16)
    module = half_module(model, size)
    with (
        TemporaryDirectory(prefix="rtseg-") as folder,
        translated(f"compiling {model.path.name}"),
        _failures(f"compile {model.path.name} at {size[0]}x{size[1]}"),
    ):
        timing, path = Path(folder) / "timing.bin", Path(folder) / "program.pt2"
        earlier = cache.timing(key)
        if earlier:
            timing.write_bytes(earlier)
        image, module = image.to(_DEVICE), module.to(_DEVICE)
        exported = torch.export.export(module, (image,))
        compiled = library.dynamo.compile(
            exported, arg_inputs=[image], **settings(key.options, timing)
        )
        if timing.exists():
            cache.put_timing(key, timing.read_bytes())
        library.save(compiled, str(path), output_format="exported_program", arg_inputs=[image])
        return path.read_bytes()


def half_module(model: Model, size: tuple[int, int]) -> torch.nn.Module:
    """The module that is compiled. Raises EngineError unless all its weights are FP16: the
    inspector cannot be asked about the engine that is made of it."""
    module = module_of(model, size, torch.float16)
    tensors = [*module.named_parameters(), *module.named_buffers()]
    wide = [n for n, t in tensors if t.is_floating_point() and t.dtype != torch.float16]
    if wide:
        raise EngineError(
            f"{model.path.name} has {len(wide)} of {len(tensors)} weights that are not FP16 "
            f"(first: {wide[0]}); expected FP16 in all, as in what `rtseg export` writes"
        )
    return module


def settings(options: BuildOptions, timing: Path) -> dict[str, Any]:
    """Keyword arguments of `torch_tensorrt.dynamo.compile`.

    timing: the builder's timing cache, read and written. The whole network becomes one engine, or
    the compilation fails: a part that stayed in torch would be slow without saying so.
    """
    return {
        "workspace_size": options.workspace_mib << 20,
        "optimization_level": options.level,
        "hardware_compatible": options.hardware_compatible,
        "require_full_compilation": True,
        "min_block_size": 1,
        "immutable_weights": True,
        "cache_built_engines": False,
        "reuse_cached_engines": False,
        "timing_cache_path": str(timing),
    }


def checked(program: bytes, model: Model, key: PlanKey) -> dict[str, object]:
    """How well a program agrees with the reference. Raises EngineError if not well enough."""
    from rtseg.backends import parity
    from rtseg.backends.trt_context import run_once

    engine = engine_of(program, key.size, key.options)
    try:
        found = parity.check(run_once(engine), model, key.size)
    finally:
        engine.close()
    return {"f16_proved": False, **asdict(found)}


@contextmanager
def _failures(what: str, error: type[EngineError] = EngineError) -> Iterator[None]:
    """Whatever the compiler raises becomes `error`: its error types are its converters'.

    Lack of memory and CUDA's errors pass, for `translated`.
    """
    try:
        yield
    except (EngineError, torch.OutOfMemoryError, torch.AcceleratorError):
        raise
    except Exception as exc:
        raise error(f"torch-TensorRT cannot {what}: {first_line(exc)}") from exc
