"""What a benchmark ran on: processor, versions, memory used, and the GPU's state."""

from __future__ import annotations

import platform
import resource
import sys
from collections.abc import Callable
from importlib import import_module, metadata
from typing import Any

from rtseg.hardware import cpu_count, cpu_flags, cpu_name

PACKAGES = (
    "rtseg", "numpy", "numba", "numba-cuda", "openvino", "av", "opencv-python", "torch", "tensorrt",
    "torch-tensorrt",
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


def nvidia() -> list[dict[str, Any]]:
    """Each NVIDIA GPU: name, clocks (MHz), power (W), temperature (°C), why clocks are held down.

    Empty without nvidia-ml-py or a driver. What a device does not tell is None.
    """
    try:
        nvml: Any = import_module("pynvml")
        nvml.nvmlInit()
    except Exception:  # the library is missing, or has errors of its own for a missing driver
        return []
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        return [_state(nvml, handle) for handle in handles]
    finally:
        nvml.nvmlShutdown()


def _state(nvml: Any, device: Any) -> dict[str, Any]:
    def asked(function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(device, *arguments)
        except nvml.NVMLError:
            return None

    power = asked(nvml.nvmlDeviceGetPowerUsage)
    return {
        "name": asked(nvml.nvmlDeviceGetName),
        "sm_mhz": asked(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_SM),
        "memory_mhz": asked(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_MEM),
        "power_w": None if power is None else power / 1e3,
        "celsius": asked(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU),
        "held_down_by": asked(nvml.nvmlDeviceGetCurrentClocksThrottleReasons),
    }
