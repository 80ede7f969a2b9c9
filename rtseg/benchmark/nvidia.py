"""What NVIDIA GPUs say of themselves: driver, clocks, power, temperature."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from rtseg.errors import EngineError


def states() -> list[dict[str, Any]]:
    """The state of each GPU; empty without nvidia-ml-py or a driver."""
    try:
        with _started() as nvml:
            count = nvml.nvmlDeviceGetCount()
            return [state(nvml, nvml.nvmlDeviceGetHandleByIndex(i)) for i in range(count)]
    except (ModuleNotFoundError, EngineError):
        return []


def readings(pci: str) -> dict[str, Any]:
    """The state of the GPU with that bus id.

    Raises ModuleNotFoundError without nvidia-ml-py, EngineError where the driver comes without
    NVML or has lost the device.
    """
    with _started() as nvml:
        return state(nvml, nvml.nvmlDeviceGetHandleByPciBusId(pci))


def state(nvml: Any, device: Any) -> dict[str, Any]:
    """Name, driver, clocks (MHz), power (W), temperature (°C), and why clocks are held down.

    nvml: started. What the device does not tell is None.
    """

    def asked(function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except nvml.NVMLError:
            return None

    power, limit = (
        asked(f, device)
        for f in (nvml.nvmlDeviceGetPowerUsage, nvml.nvmlDeviceGetEnforcedPowerLimit)
    )
    return {
        "name": asked(nvml.nvmlDeviceGetName, device),
        "driver": asked(nvml.nvmlSystemGetDriverVersion),
        "sm_mhz": asked(nvml.nvmlDeviceGetClockInfo, device, nvml.NVML_CLOCK_SM),
        "memory_mhz": asked(nvml.nvmlDeviceGetClockInfo, device, nvml.NVML_CLOCK_MEM),
        "power_w": None if power is None else power / 1e3,
        "power_limit_w": None if limit is None else limit / 1e3,
        "celsius": asked(nvml.nvmlDeviceGetTemperature, device, nvml.NVML_TEMPERATURE_GPU),
        "held_down_by": asked(nvml.nvmlDeviceGetCurrentClocksThrottleReasons, device),
    }


@contextmanager
def _started() -> Iterator[Any]:
    nvml: Any = import_module("pynvml")
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as exc:
        raise EngineError(f"NVML does not start: {exc}") from exc
    try:
        yield nvml
    except nvml.NVMLError as exc:
        raise EngineError(f"NVML does not answer: {exc}") from exc
    finally:
        nvml.nvmlShutdown()
