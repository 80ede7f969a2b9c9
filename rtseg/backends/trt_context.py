"""One TensorRT inference at a time: its memory on the device, its stream, its CUDA graph."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from rtseg.backends.trt_build import INPUT, OUTPUT
from rtseg.backends.trt_log import expect, translated
from rtseg.device import failures
from rtseg.device.arrays import DeviceArray, Stream
from rtseg.device.graph import Graph, driver_call
from rtseg.errors import EngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtseg.backends.base import DeviceContext, DeviceEngine

Shape = tuple[int, ...]


class TensorRtContext:
    """A `DeviceContext` of a TensorRT engine. One thread uses it.

    Contexts overlap by themselves: each has a stream of its own, which waits for no other, so the
    copies and kernels of one run beside the inference of another.

    input: (3, h, w) float16; logits: (C, h / s, w / s) float32; stream: a `numba.cuda` stream.
    graph_refused: why inference is enqueued each time instead of launched as a CUDA graph, or None.
    """

    def __init__(
        self, execution: Any, log: Any, shapes: tuple[Shape, Shape], *, cuda_graph: bool = True
    ) -> None:
        self._execution: Any = execution
        self._log = log
        self.input: DeviceArray = _device_array(shapes[0], np.float16)
        self.logits: DeviceArray = _device_array(shapes[1], np.float32)
        self._stream_handle, self.stream = _own_stream()
        self._graph: Graph | None = None
        self._recordings: weakref.WeakSet[Graph] = weakref.WeakSet()
        self.graph_refused: str | None = None if cuda_graph else "switched off by the options"
        try:
            self._prepare(cuda_graph)
        except BaseException:
            self.close()
            raise

    def run(self) -> None:
        """Put the inference of `input` into `logits` on the stream. Raises EngineError."""
        if self._graph is not None:
            self._graph.launch()
        else:
            self._enqueue()

    def record(self, before: Callable[[], None], after: Callable[[], None]) -> Graph:
        """See `DeviceContext.record`."""

        def enqueue() -> None:
            before()
            self._enqueue()
            after()

        graph = Graph.capture(self.stream, enqueue)
        self._recordings.add(graph)
        return graph

    def close(self) -> None:
        """Wait for the stream, then free everything; twice does no harm."""
        if self._execution is None:
            return
        with suppress(EngineError):  # whoever needed the result has waited for it, and was told
            driver_call("cuStreamSynchronize", self._stream_handle)
        for graph in (*self._recordings, self._graph):
            if graph is not None:  # the graph uses the context, the context the arrays
                graph.close()
        self._graph = self._execution = self.input = self.logits = None
        with suppress(EngineError):
            driver_call("cuStreamDestroy", self._stream_handle)

    def _prepare(self, cuda_graph: bool) -> None:
        """Everything that the first inference would otherwise have to do."""
        self._bind()
        self._enqueue()  # allocates, which a graph cannot record; the input is whatever is there
        driver_call("cuStreamSynchronize", self._stream_handle)
        if cuda_graph:
            self._record()

    def _bind(self) -> None:
        """Tell TensorRT where input and logits lie; they never move."""
        what = "bind the engine's memory"
        shape = (1, *self.input.shape)
        with translated(what, self._log):
            expect(self._execution.set_input_shape(INPUT, shape), what, self._log)
            for name, array in ((INPUT, self.input), (OUTPUT, self.logits)):
                address = int(array.__cuda_array_interface__["data"][0])
                expect(self._execution.set_tensor_address(name, address), what, self._log)

    def _record(self) -> None:
        """Some layers cannot be recorded; what enqueues works all the same."""
        graph = None
        try:
            graph = Graph.capture(self.stream, self._enqueue)
            graph.launch()
            driver_call("cuStreamSynchronize", self._stream_handle)
        except EngineError as exc:
            self.graph_refused = str(exc)
            if graph is not None:
                graph.close()
            self._enqueue()  # an error that stays with the device shows here and not in the run
            driver_call("cuStreamSynchronize", self._stream_handle)
        else:
            self._graph = graph

    def _enqueue(self) -> None:
        what = "put the inference on its stream"
        with translated(what, self._log):
            expect(self._execution.execute_async_v3(int(self.stream)), what, self._log)


def run_once(engine: DeviceEngine) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """A function from an image in the machine's memory to its logits there, for checks.

    It takes (3, h, w) float32 and gives (C, h / s, w / s) float32: uploads as float16, runs, waits,
    downloads. Not for speed. Raises EngineError.
    """
    context: DeviceContext = engine.device_context()

    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        half = np.ascontiguousarray(image, np.float16)
        with failures.translated("checking an engine"):
            context.input.copy_to_device(half, stream=context.stream)
            context.run()
            logits: NDArray[np.float32] = context.logits.copy_to_host(stream=context.stream)
            context.stream.synchronize()
        return logits

    return run


def start_cuda() -> Any:
    """numba's module, with the GPU's context current in this thread. Raises EngineError."""
    cuda: Any = import_module("numba.cuda")
    with failures.translated("starting CUDA in this thread"):
        cuda.current_context()
    return cuda


def _own_stream() -> tuple[Any, Stream]:
    """(the driver's handle, numba's stream of it) of a new stream that never waits for the
    default one: a copy of another thread would otherwise end a recording."""
    cuda = start_cuda()
    driver: Any = import_module("cuda.bindings.driver")
    handle = driver_call("cuStreamCreate", driver.CUstream_flags.CU_STREAM_NON_BLOCKING.value)
    return handle, cuda.external_stream(int(handle))


def _device_array(shape: Shape, dtype: type[np.generic]) -> DeviceArray:
    cuda: Any = import_module("numba.cuda")
    with failures.translated(f"allocating {shape} {dtype.__name__} for the network"):
        return cuda.device_array(shape, dtype)
