"""What a benchmark ran on: processor, versions, memory used."""

from __future__ import annotations

import platform
import resource
import sys
from importlib import metadata
from typing import Any

from rtseg.hardware import cpu_count, cpu_flags, cpu_name

PACKAGES = (
    "rtseg", "numpy", "numba", "numba-cuda", "openvino", "av", "opencv-python", "torch", "tensorrt",
    "torch-tensorrt", "onnxruntime", "supervision", "ultralytics",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """Processor, cores, system and Python."""
    return {
        "cpu": cpu_name(),
        "instructions": cpu_flags(),
        "cores": cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Of the packages that matter, where they are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def peak_bytes() -> int:
    """The most memory this process has had resident so far."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024
