"""What an inference engine is: a model compiled for one input size on one device.

There are two kinds. A host engine's contexts take and give arrays in the machine's memory and
return when the result is there. A device engine's contexts own memory on the GPU and a stream: the
kernels of `rtseg.kernels.cuda` are put on that stream before and after `run`, and nobody waits for
anything until the labels are wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from rtseg.device.arrays import DeviceArray, Stream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class HostContext(Protocol):
    """One inference at a time, with its own buffers. One thread uses one context.

    input: (3, h, w) float32, the engine's own memory: the preprocess kernel writes into it.
    """

    input: NDArray[np.float32]

    def run(self) -> NDArray[np.float32]:
        """Infer what stands in `input`: (C, h / s, w / s) float32 logits, valid until the next
        call. Raises EngineError."""
        ...


class Recording(Protocol):
    """Work of a stream, recorded as one CUDA graph with the memory that it had then."""

    def launch(self) -> None:
        """Put the work on the stream, without waiting. Raises EngineError."""
        ...

    def close(self) -> None:
        """Free it; twice does no harm."""
        ...


class DeviceContext(Protocol):
    """One inference at a time on the GPU, with its own buffers. One thread uses one context.

    input: (3, h, w) float16 on the device, the engine's own memory, C-contiguous.
    logits: (C, h / s, w / s) float32 on the device, C-contiguous; the same memory in every run.
    stream: what all work of this context is put on.
    graph_refused: why inference is not a CUDA graph, or None.
    """

    input: DeviceArray
    logits: DeviceArray
    stream: Stream
    graph_refused: str | None

    def run(self) -> None:
        """Put the inference of `input` into `logits` on the stream, without waiting for it.

        Raises EngineError; a failure on the device may show only at the next synchronisation.
        """
        ...

    def record(self, before: Callable[[], None], after: Callable[[], None]) -> Recording:
        """Record what `before` puts on the stream, the inference, and what `after` does.

        All three must have run before; nothing runs now. The context frees what is left of it when
        it is closed. Raises EngineError where this cannot be recorded; an error of the two
        functions passes through.
        """
        ...


class Engine(Protocol):
    """A compiled model. Contexts run concurrently and share its weights.

    name: backend; precision: what the convolutions compute in, "f32", "bf16" or "f16"; device:
    what it runs on, for people; notes: what the user should know of how it came about.
    """

    name: str
    precision: str
    device: str
    notes: tuple[str, ...]

    def close(self) -> None:
        """Free the engine; its contexts must not be used any more."""
        ...


class HostEngine(Engine, Protocol):
    """An engine whose contexts work in the machine's memory."""

    def context(self) -> HostContext:
        """A new context, for one thread."""
        ...


class DeviceEngine(Engine, Protocol):
    """An engine whose contexts work in the GPU's memory."""

    def device_context(self) -> DeviceContext:
        """A new context, for one thread."""
        ...
