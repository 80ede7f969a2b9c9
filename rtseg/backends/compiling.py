"""One way to the builders of plans, TensorRT and torch-TensorRT, for `rtseg compile`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rtseg.backends.plan_key import BuildOptions, Kind, PlanKey

if TYPE_CHECKING:
    from rtseg.backends.plan_cache import PlanCache
    from rtseg.backends.trt_progress import Progress
    from rtseg.model import Model


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be built. size: input (width, height)."""

    kind: Kind
    model: Model
    size: tuple[int, int]
    options: BuildOptions


def key_of(job: Job) -> PlanKey:
    """The key of a job on this machine. Raises EngineError if it has no such builder."""
    if job.kind == "tensorrt":
        from rtseg.backends import tensorrt
        from rtseg.backends.trt_module import load_module

        return tensorrt.plan_key(load_module(), job.model, job.size, job.options)
    from rtseg.backends import torch_tensorrt

    library = torch_tensorrt.load_library()
    return torch_tensorrt.program_key(library, job.model, job.size, job.options)


def compile_job(
    job: Job, cache: PlanCache, *, progress: Progress | None = None, rebuild: bool = False
) -> str:
    """Build and keep the plan of a job unless that was done before; why, or `plan_use.CACHED`.

    progress is told of by TensorRT alone. Raises EngineError; then no plan is kept.
    """
    if job.kind == "tensorrt":
        from rtseg.backends import tensorrt

        _, why = tensorrt.compile_plan(
            job.model, job.size, job.options, cache=cache, progress=progress, rebuild=rebuild
        )
        return why
    from rtseg.backends import torch_tensorrt

    _, why = torch_tensorrt.compile_program(
        job.model, job.size, job.options, cache=cache, rebuild=rebuild
    )
    return why


def adopt(job: Job, path: Path, cache: PlanCache, *, trust: bool) -> Path:
    """Take a plan over that was built elsewhere, if it loads and passes the parity gate.

    That its convolutions are FP16 is proved only where its builder left in what the inspector
    needs; its record says so. Raises InputError without `trust`, EngineError if the plan is not one
    for this machine and job.
    """
    key = key_of(job)
    check = partial(_checked, job, key, cache)
    return cache.import_plan(path, key, trust=trust, check=check)


def _checked(job: Job, key: PlanKey, cache: PlanCache, data: bytes) -> Mapping[str, object]:
    if job.kind == "tensorrt":
        from rtseg.backends import tensorrt
        from rtseg.backends.trt_module import load_module

        return tensorrt.checked(load_module(), data, job.model, key, cache, foreign=True)
    from rtseg.backends import torch_tensorrt

    return torch_tensorrt.checked(data, job.model, key)
