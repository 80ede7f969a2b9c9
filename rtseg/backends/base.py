"""What an inference engine is: a model compiled for one input size on one device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Context(Protocol):
    """One inference at a time, with its own buffers. One thread uses one context.

    input: (3, h, w) float32, the engine's own memory: the preprocess kernel writes into it.
    """

    input: NDArray[np.float32]

    def run(self) -> NDArray[np.float32]:
        """Infer what stands in `input`: (C, h / s, w / s) float32 logits, valid until the next
        call. Raises EngineError."""
        ...


class Engine(Protocol):
    """A compiled model. Contexts run concurrently and share its weights.

    name: backend; precision: what the convolutions compute in; device: what it runs on.
    """

    name: str
    precision: str
    device: str

    def context(self) -> Context:
        """A new context, for one thread."""
        ...

    def close(self) -> None:
        """Free the engine; its contexts must not be used any more."""
        ...
