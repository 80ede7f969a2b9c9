"""Workers: the kernels around an engine, for frames one after another. One thread uses one."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rtseg.device.memory import Memory
from rtseg.model import Model
from rtseg.workers.base import Worker
from rtseg.workers.host import HostWorker

if TYPE_CHECKING:
    from rtseg.backends.base import DeviceEngine, HostEngine

__all__ = ["HostWorker", "Worker", "on_device", "open_worker"]


def on_device(engine: HostEngine | DeviceEngine) -> bool:
    """Whether an engine's contexts work in the GPU's memory."""
    return hasattr(engine, "device_context")


def open_worker(model: Model, engine: HostEngine | DeviceEngine, memory: Memory) -> Worker:
    """A worker for the calling thread, of the engine's kind.

    memory: counts what a worker on the GPU allocates. Raises EngineError.
    """
    if on_device(engine):
        from rtseg.workers.device import DeviceWorker

        return DeviceWorker(model, cast("DeviceEngine", engine), memory)
    return HostWorker(model, cast("HostEngine", engine))


def compile_kernels(engine: HostEngine | DeviceEngine) -> None:
    """Compile what workers of the engine and the sinks behind them call. Raises EngineError."""
    from rtseg.kernels import cpu

    cpu.compile_all()  # labels are counted, pictures of sinks converted, on the host
    if on_device(engine):
        from rtseg.kernels import cuda

        cuda.compile_all()
