"""Whether the NVIDIA driver finds a GPU, asked of the driver itself.

TensorRT crashes the process where there is none: ask here before touching it.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache

_LIBRARY = "libcuda.so.1"


@lru_cache(maxsize=1)
def missing() -> str | None:
    """Why no NVIDIA GPU can be used, or None if one can."""
    try:
        driver = ctypes.CDLL(_LIBRARY)
    except OSError:
        return f"no NVIDIA driver ({_LIBRARY})"
    code = int(driver.cuInit(0))
    count = ctypes.c_int(0)
    if code == 0:
        code = int(driver.cuDeviceGetCount(ctypes.byref(count)))
    if code == 0 and count.value > 0:
        return None
    what = f"cuInit gives {code}" if code else "it counts no device"
    return f"the NVIDIA driver finds no usable GPU ({what})"


def cuda_version() -> int:
    """The newest CUDA that the driver knows: 13000 is 13.0; 0 without a driver."""
    version = ctypes.c_int(0)
    try:
        code = int(ctypes.CDLL(_LIBRARY).cuDriverGetVersion(ctypes.byref(version)))
    except OSError:
        return 0
    return version.value if code == 0 else 0
