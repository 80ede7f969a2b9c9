"""Which packages are installed, and whether the driver knows the CUDA they were built for."""

from __future__ import annotations

from importlib import metadata

from rtseg.device import driver

_TENSORRT = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12")
"""Distributions that bring the module `tensorrt` with its libraries."""

_TENSORRT_CUDA = {
    "tensorrt-cu13-libs": 13, "tensorrt-cu13": 13, "tensorrt-cu12-libs": 12, "tensorrt-cu12": 12
}  # fmt: skip
"""Distribution → the major version of CUDA that its libraries need."""

_DRIVERS = {12: 525, 13: 580}
"""Major version of CUDA → the oldest driver on Linux:
https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html"""


def version(*distributions: str) -> str | None:
    """The version of the first of these packages that is installed."""
    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def tensorrt_version() -> str | None:
    """TensorRT's, whichever of its packages it came with."""
    return version(*_TENSORRT)


def tensorrt_too_new() -> str | None:
    """Why the driver cannot run the TensorRT that is installed; None if it can, or is not known."""
    return _driver_too_old("TensorRT", next(filter(None, map(_cuda_of, _TENSORRT_CUDA)), None))


def kernels_too_new() -> str | None:
    """Why the driver cannot run what the CUDA compiler here makes; None as above."""
    found = version("nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12")
    return _driver_too_old("numba-cuda", int(found.split(".")[0]) if found else None)


def _cuda_of(distribution: str) -> int | None:
    return _TENSORRT_CUDA[distribution] if version(distribution) else None


def _driver_too_old(what: str, major: int | None) -> str | None:
    """Libraries for a newer CUDA than the driver's fail, and TensorRT ends the process."""
    found = driver.cuda_version()
    if not found or major is None or found // 1000 >= major:
        return None
    needed = f"{_DRIVERS[major]} or newer" if major in _DRIVERS else f"for CUDA {major}"
    return (
        f"{what} is installed for CUDA {major}, the NVIDIA driver knows CUDA {found // 1000}."
        f"{found % 1000 // 10} at most; install driver {needed} (nvidia-smi shows what is there)"
    )
