"""A recording stand-in for a GPU with TensorRT, written for these tests.

It is not TensorRT and says nothing about TensorRT: it shows the order of our calls, that the memory
we bind is the memory we meant, and what we do when a call fails. "The device" is the host's memory;
"inference" is OpenVINO on whatever lies at the bound address; a stream works at once; a capture
keeps what is enqueued and a launch does it. That names and signatures are real is checked in
test_tensorrt_names.py.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import trt_standin

from rtseg.backends import openvino
from rtseg.model import Model

SIZE = (160, 96)
"""Width and height of the input."""


def layer(name: str, kind: str, dtype: str) -> dict[str, Any]:
    """A layer as TensorRT 10's inspector prints it."""
    tensors = [{"Name": "t", "Dimensions": [1, 8, 4, 4], "Format/Datatype": dtype}]
    return {"Name": name, "LayerType": kind, "Inputs": tensors, "Outputs": tensors, "Metadata": ""}


IO, LINEAR = ("image", "logits"), "TensorFormat.LINEAR"
HALF = "Channel major FP16 format where channel % 8 == 0"


@dataclass
class Machine:
    """What happens, and what was called.

    calls: names of all calls in order. enqueues: how many succeed before all fail. refused_loads:
    plans that will not load, before one does. parser_errors: (node, operator, description) each.
    layers: of the inspector. interrupted: Ctrl-C comes during a build. says: logged as an error
    when something fails.
    """

    model: Model
    size: tuple[int, int]
    version: str = "10.16.1.11"
    parser_errors: list[tuple[str, str, str]] = field(default_factory=list)
    builds: bool = True
    loads: bool = True
    refused_loads: int = 0
    room: bool = True
    formats: dict[str, str] = field(default_factory=lambda: dict.fromkeys(IO, LINEAR))
    enqueues: int = 1 << 30
    says: str = "[builder.cpp::build::1] Error Code 10: no implementation for node_conv2d"
    layers: list[Any] = field(default_factory=lambda: [layer("c", "CaskConvolution", HALF)])
    swapped_classes: bool = False
    interrupted: bool = False
    capture_refused: str = ""
    calls: list[str] = field(default_factory=list)
    seen: dict[str, Any] = field(default_factory=dict)
    capturing: list[Callable[[], None]] | None = None

    def modules(self) -> dict[str, ModuleType]:
        """Stand-ins by the names of the modules they stand for."""
        return {
            "tensorrt": trt_standin.module(self),
            "numba.cuda": _numba(),
            "cuda.bindings.driver": _driver(self),
        }

    def information(self) -> str:
        return json.dumps({"Layers": self.layers, "Bindings": ["image", "logits"]})

    def enqueue(self, addresses: dict[str, int]) -> None:
        """Infer what lies at addresses["image"] into addresses["logits"], now or at a launch."""
        if self.capturing is not None:
            self.capturing.append(lambda: self._infer(addresses))
        else:
            self._infer(addresses)

    def _infer(self, addresses: dict[str, int]) -> None:
        self.calls.append("(inference)")
        width, height = self.size
        stride = self.model.contract.output_stride
        shape = len(self.model.classes), height // stride, width // stride
        context = self._reference().context()
        context.input[:] = _at(addresses["image"], (3, height, width), np.float16)
        logits = context.run()
        order = slice(None, None, -1 if self.swapped_classes else 1)
        _at(addresses["logits"], shape, np.float32)[:] = logits[order]

    def _reference(self) -> openvino.OpenVinoEngine:
        if "engine" not in self.seen:
            self.seen["engine"] = openvino.build(
                self.model, self.size, precision="f32", streams=1, threads=1
            )
        return self.seen["engine"]


def _at(address: int, shape: tuple[int, ...], dtype: Any) -> Any:
    """The array at an address of the host's memory."""
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_char * count).from_address(address), dtype).reshape(shape)


class HostArray:
    """As numba's device arrays, in the host's memory."""

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self._array = np.zeros(shape, dtype)
        self.shape, self.dtype = self._array.shape, self._array.dtype
        self.__cuda_array_interface__ = {"data": (self._array.ctypes.data, False)}

    def copy_to_device(self, array: Any, stream: Any = 0) -> None:
        assert int(stream) == 7
        assert array.shape == self.shape
        assert array.dtype == self.dtype
        self._array[:] = array

    def copy_to_host(self, stream: Any = 0) -> Any:
        assert int(stream) == 7
        return self._array.copy()


class Stream:
    def __init__(self, handle: int) -> None:
        self._handle = handle

    def __int__(self) -> int:
        return self._handle

    def synchronize(self) -> None:
        pass


def _numba() -> ModuleType:
    module = ModuleType("numba.cuda")
    module.device_array = HostArray  # type: ignore[attr-defined]
    module.external_stream = Stream  # type: ignore[attr-defined]
    module.current_context = lambda: None  # type: ignore[attr-defined]
    device = SimpleNamespace(name=b"Stand-in", compute_capability=(9, 0))
    module.get_current_device = lambda: device  # type: ignore[attr-defined]
    return module


class CUresult(IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900
    CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901


class _Driver:
    """The few functions of the driver that are called; each gives its code first."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._graphs: dict[str, list[Callable[[], None]]] = {}

    def __getattr__(self, name: str) -> Callable[..., tuple[Any, ...]]:
        answer = {"cuStreamCreate": 7, "cuDriverGetVersion": 13000}.get(name)

        def call(*arguments: Any) -> tuple[Any, ...]:
            self._machine.calls.append(name)
            code = self._code(name)
            value = self._effect(name, arguments) if code == CUresult.CUDA_SUCCESS else None
            return (code, answer if answer is not None else value)

        return call

    def _code(self, name: str) -> CUresult:
        if name == self._machine.capture_refused:
            self._machine.capturing = None
            return CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
        return CUresult.CUDA_SUCCESS

    def _effect(self, name: str, arguments: tuple[Any, ...]) -> Any:
        machine = self._machine
        if name == "cuStreamBeginCapture":
            machine.capturing = []
        elif name == "cuStreamEndCapture":
            graph = f"graph {len(self._graphs)}"
            self._graphs[graph], machine.capturing = machine.capturing or [], None
            return graph
        elif name == "cuGraphInstantiate":
            return arguments[0]
        elif name == "cuGraphLaunch":
            for work in self._graphs[arguments[0]]:
                work()
        return b"refused" if name == "cuGetErrorString" else "handle"


def _driver(machine: Machine) -> ModuleType:
    driver = _Driver(machine)
    module = ModuleType("cuda.bindings.driver")
    module.__getattr__ = driver.__getattr__  # type: ignore[method-assign]
    module.CUresult = CUresult  # type: ignore[attr-defined]
    module.CUstream = int  # type: ignore[attr-defined]
    module.CUstream_flags = SimpleNamespace(  # type: ignore[attr-defined]
        CU_STREAM_NON_BLOCKING=SimpleNamespace(value=1)
    )
    module.CUstreamCaptureMode = SimpleNamespace(  # type: ignore[attr-defined]
        CU_STREAM_CAPTURE_MODE_THREAD_LOCAL=1
    )
    return module
