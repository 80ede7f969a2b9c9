"""PyTorch: the reference on a CPU, and what runs on a GPU without TensorRT.

The model file's graph is run operator by operator (`onnx_module`): on a GPU in f16, replayed as a
CUDA graph; on a CPU in f32, or in bf16 if that is asked for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch

from rtseg.backends import available
from rtseg.backends.onnx_module import module_of
from rtseg.errors import EngineError
from rtseg.hardware import cpu_count, cpu_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtseg.backends.torch_cuda import CudaEngine, Forward
    from rtseg.model import Model

COMPILE = "RTSEG_TORCH_COMPILE"
"""Set to 1, this variable has `torch.compile` optimise the module on a GPU; that takes a minute."""

_TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class TorchContext:
    """A `HostContext`: an input tensor of its own, and the engine's module."""

    def __init__(self, module: torch.nn.Module, size: tuple[int, int]) -> None:
        self._module = module
        self._image = torch.zeros(1, 3, size[1], size[0])
        self.input: NDArray[np.float32] = self._image.numpy()[0]

    def run(self) -> NDArray[np.float32]:
        """(C, h / s, w / s) float32 logits, valid until the next call."""
        try:
            with torch.inference_mode():
                logits: NDArray[np.float32] = self._module(self._image)[0].contiguous().numpy()
        except RuntimeError as exc:
            raise EngineError(f"torch failed to infer: {exc}") from exc
        return logits


class TorchEngine:
    """A model on the CPU; its contexts share the weights."""

    name = "torch"
    notes: tuple[str, ...] = ()

    def __init__(self, module: torch.nn.Module, size: tuple[int, int], precision: str) -> None:
        self._module: torch.nn.Module | None = module
        self._size = size
        self.precision = precision
        self.device = cpu_name()

    def context(self) -> TorchContext:
        """A new context, for one thread. Raises EngineError if the engine is closed."""
        if self._module is None:
            raise EngineError("the engine is closed; build another one")
        return TorchContext(self._module, self._size)

    def close(self) -> None:
        """Free the weights, once no context holds them."""
        self._module = None


def build(
    model: Model,
    size: tuple[int, int],
    *,
    precision: str,
    streams: int,
    threads: int | None,
    optimise: bool | None = None,
) -> TorchEngine | CudaEngine:
    """Compile for inputs of `size` (width, height): f16 on a GPU, f32 and bf16 on the CPU; "auto"
    takes the GPU where there is one.

    On the CPU each stream gets its share of the threads; torch has one such number for the whole
    process. optimise: `torch.compile` on a GPU; by default what the variable `COMPILE` says.
    Raises EngineError, ModelError for an operator that there is not.
    """
    no_gpu = available.torch_gpu_missing()
    if precision == "f16" and no_gpu:
        raise EngineError(f"torch has f16 on an NVIDIA GPU only: {no_gpu}; take f32 or bf16")
    order = ("f32", "bf16") if no_gpu else ("f16", "f32", "bf16")
    chosen = available.pick_precision(precision, order, "torch")
    if chosen == "f16":
        return _on_gpu(
            model, size, os.environ.get(COMPILE) == "1" if optimise is None else optimise
        )
    if threads or streams > 1:
        torch.set_num_threads(max(1, (threads or cpu_count()) // streams))
    module: Any = module_of(model, size, _TYPES[chosen])
    return TorchEngine(module.to(memory_format=torch.channels_last), size, chosen)


def _on_gpu(model: Model, size: tuple[int, int], optimise: bool) -> CudaEngine:
    from rtseg.backends.torch_cuda import CudaEngine, check_device, translated

    check_device()
    module: Any = module_of(model, size, torch.float16)
    with translated("moving the weights to it"):
        module = module.to("cuda", memory_format=torch.channels_last)
        forward: Forward = optimised(module, size) if optimise else module
    return CudaEngine("torch", lambda: forward, size)


def optimised(module: torch.nn.Module, size: tuple[int, int], **options: Any) -> Forward:
    """The module by `torch.compile`, which generates its kernels at the first call.

    size: (width, height) of the images. options: in place of those for speed on a GPU. CUDA graphs
    are left to the context.
    """
    weight = next(module.buffers())
    image = torch.zeros(1, 3, size[1], size[0], dtype=weight.dtype, device=weight.device)
    graph = torch.export.export(module, (image,)).module()
    options = options or {"mode": "max-autotune-no-cudagraphs"}
    compiled: Forward = torch.compile(graph, fullgraph=True, dynamic=False, **options)
    return compiled
