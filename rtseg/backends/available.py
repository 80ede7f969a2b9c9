"""Which backends can run here, told without loading any of them.

The driver is asked first: with no GPU, loading TensorRT takes seconds at best, and using it ends
the process. Packages are only looked for, so that choosing OpenVINO never imports torch.
"""

from __future__ import annotations

import re
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

from rtseg.backends import BACKENDS, torch_pairs
from rtseg.backends.installed import kernels_too_new, tensorrt_too_new, tensorrt_version, version
from rtseg.backends.trt_module import check_version
from rtseg.device import driver
from rtseg.errors import EngineError

PRECISIONS: dict[str, tuple[str, ...]] = {
    "tensorrt": ("f16",),
    "torch-tensorrt": ("f16",),
    "torch": ("f16", "f32", "bf16"),
    "openvino": ("f32", "bf16"),
}
"""What each backend computes in; torch has f16 on a GPU, f32 and bf16 on a CPU."""

PREFERRED = tuple(BACKENDS)
"""In the order in which `auto` tries them."""


def missing(backend: str) -> str | None:
    """Why a backend of `BACKENDS` cannot run here at all; None if it can."""
    if backend == "openvino":
        return _absent("openvino", "openvino")
    if backend == "torch":
        return _absent("torch", "rtseg[torch]")
    reasons = [gpu_missing(), _tensorrt() if backend == "tensorrt" else _torch_tensorrt()]
    return "; ".join(filter(None, reasons)) or None


def gpu_missing() -> str | None:
    """Why no GPU engine can run here, whichever: no GPU, or no kernels for it; None if it can."""
    return driver.missing() or _absent("numba_cuda", "rtseg[cuda]") or kernels_too_new()


def torch_gpu_missing() -> str | None:
    """Why torch cannot use a GPU here; None if it can."""
    return gpu_missing() or _absent("torch", "rtseg[torch]") or _cpu_torch()


def reasons(precision: str = "auto") -> dict[str, str | None]:
    """Backend → why `auto` passes it over, None for those it takes; in its order of preference.

    precision: what was asked for.
    """
    return {name: missing(name) or _unwanted(name, precision) for name in PREFERRED}


def candidates(precision: str = "auto") -> list[str]:
    """What `auto` tries, the best first. Raises EngineError if nothing here has that precision."""
    found = [name for name, reason in reasons(precision).items() if reason is None]
    if not found:
        why = "; ".join(f"{name}: {reason}" for name, reason in reasons(precision).items())
        raise EngineError(f"no backend for precision {precision!r} can run here: {why}")
    return found


def choose(precision: str = "auto") -> str:
    """What `auto` takes. Raises EngineError if nothing here has that precision."""
    return candidates(precision)[0]


def pick_precision(asked: str, possible: tuple[str, ...], backend: str) -> str:
    """The precision asked for, or the first possible one for "auto". Raises EngineError."""
    if asked == "auto":
        return possible[0]
    if asked not in possible:
        expected = f"{', '.join(('auto', *possible[:-1]))} or {possible[-1]}"
        raise EngineError(f"{backend} has no precision {asked!r} here; expected {expected}")
    return asked


def _unwanted(backend: str, precision: str) -> str | None:
    """Why `auto` does not take a backend that could run."""
    on_cpu = torch_gpu_missing() if backend == "torch" else None
    if on_cpu:
        return f"it would run on the CPU, where openvino is faster: {on_cpu}"
    has = ("f16",) if backend == "torch" else PRECISIONS[backend]
    return None if precision in ("auto", *has) else f"it computes in {' or '.join(has)}"


def _absent(module: str, package: str) -> str | None:
    if _spec(module) is not None:
        return None
    return f'{module.replace("_", "-")} is not installed (pip install "{package}")'


def _spec(module: str) -> ModuleSpec | None:
    """Where a module would be loaded from; None if it is not there."""
    try:
        return find_spec(module)
    except (ImportError, ValueError):  # one in sys.modules that came from no file
        return None


def _tensorrt() -> str | None:
    absent, found = _absent("tensorrt", "rtseg[tensorrt]"), tensorrt_version()
    if absent or found is None:
        return absent
    try:
        check_version(found)
    except EngineError as exc:
        return str(exc)
    return tensorrt_too_new()


def _torch_tensorrt() -> str | None:
    found = version("torch-tensorrt")
    if found is None:
        return _absent("torch_tensorrt", "rtseg[torch-tensorrt]")
    wrong = torch_pairs.mismatch(found, version("torch"), tensorrt_version())
    return wrong or tensorrt_too_new()


def _cpu_torch() -> str | None:
    """Whether the installed torch was built without CUDA, as its own file says."""
    spec = _spec("torch")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        try:
            text = (Path(folder) / "version.py").read_text()
        except OSError:
            continue
        if re.search(r"^cuda\b[^=]*=\s*None", text, re.MULTILINE):
            return f"torch {version('torch')} is built without CUDA"
    return None
