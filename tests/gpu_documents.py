"""Made-up figures for tests of what is worked out from figures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import gpu_document
from gpu_marks import marks

TIMES = {"count": 9, "min_ms": 0.9, "p50_ms": 1.0, "p90_ms": 1.1, "p95_ms": 1.1, "p99_ms": 1.15}


def engine_row(**values: Any) -> dict[str, Any]:
    row = {"model": "dilanet-m", "size": [2048, 1024], "engine": "torch, eager", "fps": 1000.0}
    return {**row, "bound_ms": 0.6, "share_of_roofline": 0.6, **TIMES, **values}


def kernel_row(kernel: str, size: tuple[int, int] = (1920, 1080), **values: Any) -> dict[str, Any]:
    shares = {"mbytes": 8.0, "share_of_copy": 0.7, "share_of_same_copy": 0.9, "host_ms": {}}
    return {"kernel": kernel, "size": list(size), **shares, **TIMES, **values}


def stream_row(count: int, **values: Any) -> dict[str, Any]:
    about = {"model": "dilanet-m", "size": [1024, 512], "engine": "torch", "frames": "resident"}
    rates = {"workers": 3, "fps": 960.0, "engine_fps": 1000.0, "share_of_engine": 0.96}
    memory = {"used_before_mib": 900.0, "used_after_mib": 900.0}
    return {**about, **rates, **memory, **TIMES, "count": count, **values}


def made_document() -> dict[str, Any]:
    """A document with some rows in each part."""
    made = gpu_document.new({"gpu": "NVIDIA H200"}, {"rtseg": "1"}, {"commit": "abc"})
    rows = [engine_row(), engine_row(engine="torch, CUDA graph", p50_ms=0.75)]
    kernels = [
        kernel_row("postprocess scene", p50_ms=0.02),
        kernel_row("postprocess scene", (3840, 2160), p50_ms=0.3, share_of_copy=0.5),
        kernel_row("blend nv12"),
    ]
    made["rates"] = {"matrix": 7.9e14, "copy": 4.2e12, "upload": None}
    made["engines"] = {"how": "", "rates": made["rates"], "rows": rows}
    made["kernels"] = {"how": "", "rates": made["rates"], "rows": kernels}
    made["stream"] = {"how": "", "rates": None, "rows": [stream_row(100), stream_row(20000)]}
    made["tests"] = {"counts": {"passed": 3, "failed": 0, "skipped": 0, "left_out": 0}}
    made["tests"]["not_passed"] = []
    made["marks"] = marks(made)
    return made
