"""A TensorRT plan in the GPU's memory, checked against the model it is for."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

from rtseg.backends.plan_use import PlanRefusedError
from rtseg.backends.trt_build import INPUT, OUTPUT
from rtseg.backends.trt_context import Shape, TensorRtContext, start_cuda
from rtseg.backends.trt_log import expect, logger_of, translated
from rtseg.errors import EngineError

if TYPE_CHECKING:
    from rtseg.model import Model

_WHY_MEMORY = "create an execution context (each takes the engine's working memory on the GPU)"

_NO_MEMORY = re.compile("out ?of ?memory", re.I)
"""In the log, where the plan may be as good as ever."""


class TensorRtEngine:
    """A deserialised plan. Its contexts share the weights; each has its own stream and memory.

    notes: what the user should know, such as that no CUDA graph could be captured.
    """

    name = "tensorrt"
    precision = "f16"

    def __init__(
        self,
        trt: Any,
        plan: bytes,
        model: Model,
        size: tuple[int, int],
        *,
        device: str = "",
        cuda_graph: bool = True,
        notes: tuple[str, ...] = (),
    ) -> None:
        """The first context is made at once, so that what does not work shows here.

        Raises PlanRefusedError for a plan that does not load or is of another network, EngineError
        for lack of memory and what else fails.
        """
        self._trt, self._log = trt, logger_of(trt)
        self.device, self.notes = device, notes
        self._cuda_graph = cuda_graph
        self._lock = threading.Lock()
        self._contexts: list[TensorRtContext] = []
        self._runtime, self._cuda_engine = self._deserialised(plan)
        self._shapes = io_shapes(model, size)
        _check_io(trt, self._cuda_engine, self._shapes)
        first = self._new()
        self._ready = [first]
        if cuda_graph and first.graph_refused:
            self.notes += (f"tensorrt: no CUDA graph ({first.graph_refused})",)

    def device_context(self) -> TensorRtContext:
        """A new context, for the thread that calls this. Raises EngineError."""
        start_cuda()
        with self._lock:
            return self._ready.pop() if self._ready else self._new()

    def information(self) -> str:
        """The inspector's JSON of all layers; in detail if the plan was built so."""
        what = "inspect its engine"
        with translated(what, self._log):
            inspector = expect(self._cuda_engine.create_engine_inspector(), what, self._log)
            return str(inspector.get_engine_information(self._trt.LayerInformationFormat.JSON))

    def close(self) -> None:
        """Free contexts, then the engine, then the runtime: TensorRT wants this order."""
        with self._lock:
            self._ready.clear()
            while self._contexts:
                self._contexts.pop().close()
            self._cuda_engine = None
            self._runtime = None

    def _new(self) -> TensorRtContext:
        if self._cuda_engine is None:
            raise EngineError("the engine is closed; build another one")
        self._log.forget()
        with translated(_WHY_MEMORY, self._log):
            execution = self._cuda_engine.create_execution_context()
            execution = expect(execution, _WHY_MEMORY, self._log)
        shapes = self._shapes[0][1:], self._shapes[1][1:]
        made = TensorRtContext(execution, self._log, shapes, cuda_graph=self._cuda_graph)
        self._contexts.append(made)
        return made

    def _deserialised(self, plan: bytes) -> tuple[Any, Any]:
        """(runtime, engine). The runtime lets no code of the plan run on the host, by default."""
        what = "load the plan"
        self._log.forget()
        with translated(what, self._log):
            runtime = self._trt.Runtime(self._log)
            cuda_engine = runtime.deserialize_cuda_engine(plan)
        if cuda_engine is None and not _NO_MEMORY.search(self._log.reasons()):
            raise PlanRefusedError(f"TensorRT cannot {what}: {self._log.reasons()}")
        return runtime, expect(cuda_engine, what, self._log)


def io_shapes(model: Model, size: tuple[int, int]) -> tuple[Shape, Shape]:
    """Shapes of input and logits for an input of `size` (width, height), with the batch of 1."""
    (width, height), stride = size, model.contract.output_stride
    logits = (1, len(model.contract.classes), height // stride, width // stride)
    return (1, 3, height, width), logits


def _check_io(trt: Any, cuda_engine: Any, shapes: tuple[Shape, Shape]) -> None:
    """Raise PlanRefusedError unless the engine reads and writes the memory it will be given."""
    modes, types, linear = trt.TensorIOMode, trt.DataType, trt.TensorFormat.LINEAR
    want = {
        INPUT: (modes.INPUT, types.HALF, linear, shapes[0]),
        OUTPUT: (modes.OUTPUT, types.FLOAT, linear, shapes[1]),
    }
    names = [cuda_engine.get_tensor_name(index) for index in range(cuda_engine.num_io_tensors)]
    got = {
        name: (
            cuda_engine.get_tensor_mode(name),
            cuda_engine.get_tensor_dtype(name),
            cuda_engine.get_tensor_format(name),
            tuple(cuda_engine.get_tensor_shape(name)),
        )
        for name in names
    }
    if got != want:
        raise PlanRefusedError(f"the TensorRT engine has inputs and outputs {got}; expected {want}")
