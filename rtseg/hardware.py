"""What this machine is: cores, processor, instruction sets."""

from __future__ import annotations

import os
import platform
from pathlib import Path

VECTOR_FLAGS = (
    "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_bf16", "amx_int8", "neon", "asimd", "bf16", "sve",
)  # fmt: skip


def cpu_count() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_name() -> str:
    """The processor's name, as the system gives it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def cpu_flags() -> list[str]:
    """Those of `VECTOR_FLAGS` that the processor has; empty where the system does not tell."""
    flags = set((_cpuinfo("flags") or _cpuinfo("Features")).split())
    return [flag for flag in VECTOR_FLAGS if flag in flags]


def _cpuinfo(key: str) -> str:
    """The first value of a key in Linux's /proc/cpuinfo, or nothing."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next(
        (v.strip() for k, _, v in (ln.partition(":") for ln in lines) if k.strip() == key), ""
    )
