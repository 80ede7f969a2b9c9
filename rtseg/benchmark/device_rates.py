"""What a GPU reaches at best: torch's product of two matrices, and copies of large arrays."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np

from rtseg.device.arrays import Stream

cuda: Any = import_module("numba.cuda")  # it has few types

BURSTS, CALLS = 5, 10


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
    calls: dict[str, tuple[Callable[[], object], int]] = {
        "copy": (lambda: two.copy_to_device(one, stream=stream), 2 * count),
        "upload": (lambda: one.copy_to_device(host, stream=stream), count),
        "download": (lambda: one.copy_to_host(host, stream=stream), count),
    }
    return {name: moved / _best(stream, call) for name, (call, moved) in calls.items()}


def _best(stream: Stream, call: Callable[[], object]) -> float:
    """Seconds of the fastest of many calls, put on the stream one behind the other."""
    events = [cuda.event() for _ in range(CALLS + 1)]
    best = float("inf")
    for _ in range(BURSTS):
        call()  # the first one waits for the host
        events[0].record(stream)
        for event in events[1:]:
            call()
            event.record(stream)
        events[-1].synchronize()
        best = min(best, *(float(a.elapsed_time(b)) for a, b in pairwise(events)))
    return best / 1e3
