"""What a GPU reaches at best: torch's product of two matrices, and copies of large arrays."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from rtseg.benchmark.device_timing import Call, Candidate, in_turns
from rtseg.device.arrays import Stream

cuda: Any = import_module("numba.cuda")  # it has few types


def matrix_rate(order: int = 8192) -> float:
    """FP16 operations per second of torch's product of two square matrices of random numbers: the
    best of several, by events on a stream of torch's.

    Raises ModuleNotFoundError without torch.
    """
    torch: Any = import_module("torch")
    one, two = (torch.randn(order, order, dtype=torch.float16, device="cuda") for _ in range(2))
    out, side = torch.empty_like(one), torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())

    def product() -> None:
        with torch.cuda.stream(side):
            torch.matmul(one, two, out=out)

    return 2 * order**3 / _best(cuda.external_stream(side.cuda_stream), product)


def copy_rates(mebibytes: int = 512) -> dict[str, float]:
    """Bytes per second: "copy" from the device to itself, read + written; "upload" from and
    "download" to page-locked memory. The best of several, by events on one stream."""
    count = mebibytes << 20
    one, two = (cuda.device_array(count, np.uint8) for _ in range(2))
    host, stream = cuda.pinned_array(count, np.uint8), cuda.stream()
    host[:] = 1
    calls: dict[str, tuple[Call, int]] = {
        "copy": (lambda: two.copy_to_device(one, stream=stream), 2 * count),
        "upload": (lambda: one.copy_to_device(host, stream=stream), count),
        "download": (lambda: one.copy_to_host(host, stream=stream), count),
    }
    return {name: moved / _best(stream, call) for name, (call, moved) in calls.items()}


def _best(stream: Stream, call: Call) -> float:
    """Seconds of the fastest of many calls."""
    candidate = Candidate(stream, call)
    return min(in_turns({"": candidate}, rounds=3, count=10)[""]) / 1e3
