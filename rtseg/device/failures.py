"""Errors of CUDA, translated: out of memory, a kernel not compiled, or a device that failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rtseg.errors import EngineError

_NAMES = {"CudaAPIError", "CudaDriverError", "CudaRuntimeError", "CudaSupportError", "CUDAError"}
"""Of numba (`numba.cuda.cudadrv`) and of `cuda.core`, which launches its kernels."""

_COMPILERS = {
    "NvvmError", "NvvmSupportError", "NvrtcError", "NvrtcSupportError", "LinkerError",
    "CCSupportError", "nvvmError", "nvJitLinkError", "NVRTCError", "DynamicLibNotFoundError",
}  # fmt: skip
"""Of numba, of `cuda.bindings`, `cuda.core` and `cuda.pathfinder`, while a kernel is compiled."""

_OLD_DRIVER = "UNSUPPORTED_PTX_VERSION"
"""What the driver says of code from a compiler that is newer than itself."""


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turns errors of CUDA into EngineError; `what` was being done, such as "uploading a frame".

    After any but a lack of memory the device is not to be relied on: the run should end.
    """
    try:
        yield
    except Exception as exc:
        error = translation(exc, what)
        if error is None:
            raise
        raise error from exc


def translation(exc: Exception, what: str) -> EngineError | None:
    """The EngineError for an error of CUDA; None for any other."""
    names = {kind.__name__ for kind in type(exc).__mro__}
    if not names & (_NAMES | _COMPILERS):
        return None
    said = " ".join(str(exc).split()).rstrip(" .:")
    if names & _COMPILERS or _OLD_DRIVER in said:
        return EngineError(
            f"a kernel cannot be compiled for the GPU ({what}): {said}; if the driver is older "
            "than the CUDA that numba-cuda brings along (nvidia-smi shows which one it knows), "
            "update it; if a library is missing, pip install 'rtseg[cuda]'"
        )
    if "OUT_OF_MEMORY" in said:
        return EngineError(
            f"the GPU's memory is full ({what}); lower the network's input (--size), run fewer "
            "streams (--streams), or end other programs that use the GPU"
        )
    return EngineError(
        f"the GPU failed ({what}): {said}; nvidia-smi and the system's log say whether it is still "
        "there"
    )
