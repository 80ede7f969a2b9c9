"""Names for what numba gives without types."""

from __future__ import annotations

from typing import Any, TypeAlias

DeviceArray: TypeAlias = Any
"""Memory on the GPU with shape, dtype and strides: `numba.cuda` device arrays, or anything else
that has `__cuda_array_interface__` where a docstring says so."""

Stream: TypeAlias = Any
"""A `numba.cuda` stream; `int(stream)` is the number other libraries take."""
