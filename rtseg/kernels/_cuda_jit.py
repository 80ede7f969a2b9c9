"""How the CUDA kernels are compiled and launched.

What keeps their code narrow, and is easily undone:
* An index that may be negative costs a comparison and a selection. `U` makes it unsigned; what is
  inside stays signed, as a signed and an unsigned number together would be widened to float64.
* A Python float is a float64, and a GPU has as few as one unit for them in 64: every literal is
  a `np.float32`.
* An operation on 32-bit integers is typed as one on 64 bits. A conversion right behind it tells the
  compiler that the upper half is not wanted.
* Arrays are passed flat, without strides, so that each kernel has one signature for each type of
  its samples. An array is 7 words of arguments: tables are packed into few.

* A kernel in the cache is compiled anew when its own file changes. The parts it calls are in it,
  and the options of `kernel`, but the cache looks at neither: `touch` the file.

Kernels are compiled to PTX and not to LTO intermediate code, so that what the tests read is what
runs; `cuda.jit(**options)(function)` would drop `lto`, `cuda.jit(function, **options)` keeps it.
With NUMBA_ENABLE_CUDASIM=1 in the environment the kernels run on the CPU, slowly.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from rtseg.device.arrays import Stream
from rtseg.device.failures import translated

Function: TypeAlias = Callable[..., Any]

cuda: Any = import_module("numba.cuda")  # it has few types
config: Any = import_module("numba.cuda.core.config")

SIMULATED = bool(config.ENABLE_CUDASIM)
U: Any = np.uintp
I32: Any = np.int32

# A small sprite is a small grid; numba would warn of every grid below 128 blocks.
config.CUDA_LOW_OCCUPANCY_WARNINGS = 0


class Kernel(NamedTuple):
    """A kernel of numba's and the signatures that it is launched with."""

    compiled: Any
    signatures: tuple[str, ...]


KERNELS: dict[str, Kernel] = {}
"""All kernels, by name."""


def kernel(*signatures: str) -> Callable[[Function], Any]:
    """Compile on first use, or load from the cache. A multiplication and an addition may become one
    instruction with one rounding, unless they are `product` and `total`."""
    options = {} if SIMULATED else {"lto": False, "cache": True}

    def register(function: Function) -> Any:
        compiled = cuda.jit(function, **options)
        KERNELS[function.__name__.strip("_").removesuffix("_kernel")] = Kernel(compiled, signatures)
        return compiled

    return register


def part(function: Function) -> Any:
    """A part of a kernel, compiled into it."""
    options = {} if SIMULATED else {"forceinline": True}
    return cuda.jit(function, device=True, **options)


if SIMULATED:  # it has no libdevice

    def product(a: Any, b: Any) -> Any:
        return a * b

    def total(a: Any, b: Any) -> Any:
        return a + b

else:
    # float32 with a rounding of its own, never part of a fused multiply-add:
    # https://docs.nvidia.com/cuda/libdevice-users-guide/__nv_fmul_rn.html
    product, total = cuda.libdevice.fmul_rn, cuda.libdevice.fadd_rn


def launch(
    compiled: Any,
    blocks: int | tuple[int, int],
    threads: int | tuple[int, int],
    stream: Stream,
    *arguments: Any,
) -> None:
    """Put a kernel on a stream, without waiting. Raises EngineError."""
    with translated("launching a kernel"):
        compiled[blocks, threads, stream](*arguments)


def compile_kernels(*names: str) -> None:
    """Compile kernels for the current device, or load them from the cache: those of `KERNELS` with
    these names, or all. Raises EngineError."""
    if SIMULATED:
        return
    normalised = import_module("numba.cuda.core.sigutils").normalize_signature
    with translated("compiling the kernels"):
        for compiled, signatures in map(KERNELS.__getitem__, names or KERNELS):
            for signature in signatures:
                compiled.compile(normalised(signature)[0])
