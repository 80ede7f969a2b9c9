"""What torch and torch-TensorRT share on a GPU: contexts with static memory, and CUDA graphs."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, TypeAlias

import torch
from torch import Tensor

from rtseg.device.arrays import DeviceArray, Stream
from rtseg.errors import EngineError

Forward: TypeAlias = Callable[[Tensor], Tensor]
"""(1, 3, h, w) float16 → (1, C, h / s, w / s) float32, both on the GPU."""

_DEVICE = "cuda"

_WARM_UP = 3
"""Runs before the capture: algorithms are chosen and memory is allocated in them."""

_preparing = threading.Lock()
"""Contexts are made and graphs recorded one at a time: cuDNN's switch is the process's, and torch
waits for the whole device before it records, which would end another thread's recording."""


class TorchGraph:
    """A recording of torch's, which alone knows what memory its operators take in one."""

    def __init__(self, stream: Any, enqueue: Callable[[], None], pool: Any = None) -> None:
        """Record what `enqueue` puts on a torch stream, without running it.

        pool: that of another graph of this stream, whose temporary memory it shares. Raises
        RuntimeError; an error of `enqueue` passes through.
        """
        self._stream = stream
        self._graph: Any = torch.cuda.CUDAGraph()
        with torch.cuda.graph(
            self._graph, pool=pool, stream=stream, capture_error_mode="thread_local"
        ):
            enqueue()

    @property
    def pool(self) -> Any:
        return self._graph.pool()

    def launch(self) -> None:
        """See `Recording.launch`."""
        with translated("inferring"), torch.cuda.stream(self._stream):
            self._graph.replay()

    def close(self) -> None:
        """See `Recording.close`."""
        self._graph = None


class CudaContext:
    """A `DeviceContext` of a torch callable.

    input: (3, h, w) float16; logits: (C, h / s, w / s) float32; stream: numba's view of a torch
    stream. graph_refused: why the operators are launched one by one instead of as a CUDA graph, or
    None.
    """

    def __init__(self, forward: Forward, size: tuple[int, int], *, cuda_graph: bool = True) -> None:
        """Raises EngineError."""
        self._forward: Forward | None = forward
        self._graph: TorchGraph | None = None
        self._recordings: weakref.WeakSet[TorchGraph] = weakref.WeakSet()
        self.graph_refused: str | None = None if cuda_graph else "switched off by the options"
        with _preparing, translated("preparing the inference"):
            new_stream: Any = torch.cuda.Stream
            self._stream = new_stream()
            self._stream.wait_stream(torch.cuda.current_stream())  # where the weights come from
            with torch.cuda.stream(self._stream), torch.inference_mode():
                shape = (3, size[1], size[0])
                self._image = torch.zeros(shape, dtype=torch.float16, device=_DEVICE)
                self._logits = self._warm_up()
            self._stream.synchronize()
            if cuda_graph:
                self._record()
        self.input, self.logits, self.stream = self._seen_by_numba()

    def run(self) -> None:
        """Put the inference of `input` into `logits` on the stream. Raises EngineError."""
        if self._graph is not None:
            self._graph.launch()
            return
        with translated("inferring"), torch.cuda.stream(self._stream):
            self._infer()

    def record(self, before: Callable[[], None], after: Callable[[], None]) -> TorchGraph:
        """See `DeviceContext.record`."""

        def enqueue() -> None:
            before()
            self._infer()
            after()

        pool = None if self._graph is None else self._graph.pool
        with _preparing, translated("recording a frame's work"):
            graph = TorchGraph(self._stream, enqueue, pool)
        self._recordings.add(graph)
        return graph

    def close(self) -> None:
        """Wait for the stream, then free everything; twice does no harm."""
        if self._forward is None:
            return
        with suppress(RuntimeError):  # whoever needed the result has waited for it, and was told
            self._stream.synchronize()
        for graph in self._recordings:
            graph.close()
        self._forward = self._graph = self.input = self.logits = None
        del self._image, self._logits

    def _warm_up(self) -> Tensor:
        """Memory for the logits, after some runs."""
        assert self._forward is not None
        with _best_algorithms():
            for _ in range(_WARM_UP):
                logits = self._forward(self._image[None])[0]
        return torch.empty(logits.shape, dtype=torch.float32, device=_DEVICE).copy_(logits)

    def _record(self) -> None:
        """Capture the inference as a graph, or keep the reason why that does not work."""
        try:
            graph = TorchGraph(self._stream, self._infer)
            graph.launch()
            self._stream.synchronize()
        except (RuntimeError, EngineError) as exc:
            self.graph_refused = first_line(exc)
            with torch.cuda.stream(self._stream):
                self._infer()  # an error that stays with the device shows here, not in the run
            self._stream.synchronize()
        else:
            self._graph = graph

    def _infer(self) -> None:
        assert self._forward is not None
        with torch.inference_mode():
            self._logits.copy_(self._forward(self._image[None])[0])

    def _seen_by_numba(self) -> tuple[DeviceArray, DeviceArray, Stream]:
        """The same memory and the same stream, for the kernels around the network."""
        try:
            cuda: Any = import_module("numba.cuda")
            image, logits = (cuda.as_cuda_array(t, sync=False) for t in (self._image, self._logits))
            return image, logits, cuda.external_stream(self._stream.cuda_stream)
        except Exception as exc:  # numba's own error types have no base in common
            raise EngineError(f"numba cannot use torch's memory on the GPU: {exc}") from exc


class CudaEngine:
    """A torch callable on the first GPU that torch sees.

    notes: what the user should know, such as that no CUDA graph could be captured.
    """

    precision = "f16"

    def __init__(
        self,
        name: str,
        load: Callable[[], Forward],
        size: tuple[int, int],
        *,
        cuda_graph: bool = True,
        notes: tuple[str, ...] = (),
    ) -> None:
        """load: gives the callable for one context, the same one if contexts can share it.

        The first context is made at once, so that what does not work shows here. Raises
        EngineError.
        """
        self.name = name
        self.device: str = torch.cuda.get_device_name()
        self._load: Callable[[], Forward] | None = load
        self._size, self._cuda_graph = size, cuda_graph
        self._lock = threading.Lock()
        self._contexts: list[CudaContext] = []
        first = self._new()
        self._ready = [first]
        self.notes = notes
        if cuda_graph and first.graph_refused:
            self.notes += (f"{name}: no CUDA graph, so slower ({first.graph_refused})",)

    def device_context(self) -> CudaContext:
        """A new context, for one thread. Raises EngineError."""
        with self._lock:
            return self._ready.pop() if self._ready else self._new()

    def close(self) -> None:
        """Free contexts and weights, and give the memory back to the device."""
        with self._lock:
            while self._contexts:
                self._contexts.pop().close()
            self._ready.clear()
            self._load = None
        with suppress(RuntimeError):
            torch.cuda.empty_cache()

    def _new(self) -> CudaContext:
        if self._load is None:
            raise EngineError("the engine is closed; build another one")
        context = CudaContext(self._load(), self._size, cuda_graph=self._cuda_graph)
        self._contexts.append(context)
        return context


@contextmanager
def _best_algorithms() -> Iterator[None]:
    """cuDNN times its algorithms for each convolution that it meets, and remembers the best."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def check_device() -> None:
    """Raise EngineError unless torch itself finds the GPU."""
    if not torch.cuda.is_available():
        raise EngineError(
            f"torch {torch.__version__}, built for CUDA {torch.version.cuda}, finds no GPU though "
            "the driver has one; install a torch that fits the driver (nvidia-smi shows its CUDA)"
        )


@contextmanager
def translated(what: str) -> Iterator[None]:
    """torch's errors become EngineError; `what` was being done on the GPU."""
    try:
        yield
    except torch.OutOfMemoryError as exc:
        raise EngineError(
            f"out of GPU memory while {what}; lower --size, or end other programs that use the GPU"
        ) from exc
    except RuntimeError as exc:
        raise EngineError(f"the GPU failed while {what}: {first_line(exc)}") from exc


def first_line(exc: BaseException) -> str:
    """The first line of an error's text: CUDA's go on with advice for debugging. And the second
    where the first ends in a colon, as torch.compile's do."""
    lines = str(exc).strip().splitlines() or [type(exc).__name__]
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
