"""How the kernels are compiled.

What keeps numba's loops fast, and is easily undone:
* An index that may be negative costs a branch and keeps a loop from being vectorised. An index of a
  `range` from 0 never is; any other goes through `U`, which makes it unsigned.
* float32 meets only float32: a Python float or an integer operand would widen the loop to float64.
* The parts of a kernel are inlined by force: a call passes each array as seven words in memory, and
  counts references. An array used last in only one branch is counted
  even so: branches go inside a loop, where all arrays are used again.
* A loop over pixels writes to one array, else there are more overlaps to rule out at run time than
  LLVM is ready to test, and the loop stays scalar.

A cached kernel is recompiled when its own file changes, not when another does: a kernel calls only
compiled functions of its own file, and takes tables as arguments instead of reading globals of
other modules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numba import njit

Kernel = Callable[..., Any]

U = np.uintp

Number: TypeAlias = Any
"""A number of the machine type that numba infers; Python's types do not know it."""


def kernel(function: Kernel) -> Kernel:
    """Compile on first use, or load from the cache; the GIL is released; arithmetic is IEEE."""
    compiled: Kernel = njit(nogil=True, error_model="numpy", cache=True)(function)
    return compiled


def part(function: Kernel) -> Kernel:
    """A part of a kernel, compiled into it."""
    compiled: Kernel = njit(nogil=True, error_model="numpy", forceinline=True)(function)
    return compiled


def contracted_kernel(function: Kernel) -> Kernel:
    """As `kernel`, but a product and a sum may be one instruction with one rounding."""
    compile_ = njit(nogil=True, error_model="numpy", fastmath={"contract"}, cache=True)
    compiled: Kernel = compile_(function)
    return compiled


def contracted_part(function: Kernel) -> Kernel:
    """As `part`, for `contracted_kernel`."""
    compile_ = njit(nogil=True, error_model="numpy", fastmath={"contract"}, forceinline=True)
    compiled: Kernel = compile_(function)
    return compiled
