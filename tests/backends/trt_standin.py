"""The stand-in's module `tensorrt`: records calls, answers as a `trt_machine.Machine` says."""

from __future__ import annotations

import signal
from contextlib import suppress
from enum import IntEnum
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trt_machine import Machine


class Severity(IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class ILogger:
    Severity = Severity


class IProgressMonitor:
    pass


class Enumeration:
    """Any member asked for, by name; equal to itself only."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, member: str) -> Any:
        value = _Member(f"{self._name}.{member}")
        setattr(self, member, value)
        return value


class _Member(str):
    def __int__(self) -> int:
        return 5  # unlike any of the real numbers: they must not be relied on


def module(machine: Machine) -> ModuleType:
    """A module `tensorrt` that reports to the machine."""
    trt = ModuleType("tensorrt")
    trt.__version__ = machine.version  # type: ignore[attr-defined]
    trt.ILogger, trt.IProgressMonitor = ILogger, IProgressMonitor  # type: ignore[attr-defined]
    for name in (
        "NetworkDefinitionCreationFlag", "MemoryPoolType", "ProfilingVerbosity", "TensorIOMode",
        "HardwareCompatibilityLevel", "LayerInformationFormat", "DataType", "TensorFormat",
    ):  # fmt: skip
        setattr(trt, name, Enumeration(name))
    trt.Builder = lambda log: Builder(machine, log)  # type: ignore[attr-defined]
    trt.OnnxParser = lambda *_: Parser(machine)  # type: ignore[attr-defined]
    trt.Runtime = lambda log: Runtime(machine, log, trt)  # type: ignore[attr-defined]
    return trt


class Recorder:
    """Notes the name of each call before answering it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if callable(value) and not name.startswith("_"):
            self._machine.calls.append(name)
        return value


class Builder(Recorder):
    def __init__(self, machine: Machine, log: Any) -> None:
        super().__init__(machine)
        self._log = log

    def create_network(self, flags: int) -> Any:
        self._machine.seen["flags"] = flags
        return Network(self._machine)

    def create_builder_config(self) -> Any:
        self._machine.seen["config"] = Config(self._machine)
        return self._machine.seen["config"]

    def create_optimization_profile(self) -> Any:
        return Profile(self._machine)

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        machine = self._machine
        machine.seen["shape"] = network.tensor.shape
        monitor = config.progress_monitor
        monitor.phase_start("Building", None, 3)
        if machine.interrupted:
            with suppress(KeyboardInterrupt):  # as the binding does around our method
                signal.raise_signal(signal.SIGINT)
        if not all([monitor.step_complete("Building", 0), monitor.step_complete("Building", 1)]):
            return None
        monitor.phase_finish("Building")
        if not machine.builds:
            self._log.log(Severity.WARNING, "a warning before it")
            self._log.log(Severity.ERROR, machine.says)
            return None
        return b"plan " + machine.version.encode()


class Network(Recorder):
    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.tensor = SimpleNamespace(name="image", shape=(1, 3, -1, -1))

    def get_input(self, index: int) -> Any:
        assert index == 0
        return self.tensor


class Config(Recorder):
    def set_memory_pool_limit(self, pool: Any, size: int) -> None:
        self._machine.seen["pool"] = pool, size

    def add_optimization_profile(self, profile: Any) -> int:
        self._machine.seen["profile"] = profile.shapes
        return 0

    def create_timing_cache(self, data: bytes) -> Any:
        self._machine.seen.setdefault("timing", []).append(data)
        return SimpleNamespace(data=data, serialize=lambda: b"timing " + data)

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        assert ignore_mismatch is False
        return not cache.data.startswith(b"other GPU")


class Profile(Recorder):
    def set_shape(self, name: str, least: Any, best: Any, most: Any) -> None:
        self.shapes = name, least, best, most


class Parser(Recorder):
    def parse(self, data: bytes) -> bool:
        assert data == self._machine.model.data
        return not self._machine.parser_errors

    @property
    def num_errors(self) -> int:
        return len(self._machine.parser_errors)

    def get_error(self, index: int) -> Any:
        node, operator, text = self._machine.parser_errors[index]
        return SimpleNamespace(
            node_name=lambda: node, node_operator=lambda: operator, desc=lambda: text
        )


class Runtime(Recorder):
    def __init__(self, machine: Machine, log: Any, trt: Any) -> None:
        super().__init__(machine)
        self._log, self._trt = log, trt

    def deserialize_cuda_engine(self, plan: bytes) -> Any:
        refused, self._machine.refused_loads = (
            self._machine.refused_loads > 0,
            max(0, self._machine.refused_loads - 1),
        )
        if refused or not self._machine.loads:
            self._log.log(Severity.ERROR, self._machine.says)
            return None
        assert plan.startswith(b"plan")
        return CudaEngine(self._machine, self._trt, self._log)


class CudaEngine(Recorder):
    num_io_tensors = 2

    def __init__(self, machine: Machine, trt: Any, log: Any) -> None:
        super().__init__(machine)
        self._trt, self._log = trt, log

    def get_tensor_name(self, index: int) -> str:
        return ("image", "logits")[index]

    def get_tensor_mode(self, name: str) -> Any:
        modes = self._trt.TensorIOMode
        return modes.INPUT if name == "image" else modes.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        types = self._trt.DataType
        return types.HALF if name == "image" else types.FLOAT

    def get_tensor_format(self, name: str) -> Any:
        return self._machine.formats[name]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        width, height = self._machine.size
        if name == "image":
            return 1, 3, height, width
        stride = self._machine.model.contract.output_stride
        return 1, len(self._machine.model.classes), height // stride, width // stride

    def create_execution_context(self) -> Any:
        if not self._machine.room:
            self._log.log(Severity.ERROR, self._machine.says)
            return None
        return Execution(self._machine, self._log)

    def create_engine_inspector(self) -> Any:
        return SimpleNamespace(get_engine_information=lambda _: self._machine.information())


class Execution(Recorder):
    def __init__(self, machine: Machine, log: Any) -> None:
        super().__init__(machine)
        self._log = log
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        return name == "image" and shape == (1, 3, *self._machine.size[::-1])

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert stream_handle == 7
        self._machine.enqueues -= 1
        if self._machine.enqueues < 0:
            self._log.log(Severity.ERROR, self._machine.says)
            return False
        self._machine.enqueue(self._addresses)
        return True
