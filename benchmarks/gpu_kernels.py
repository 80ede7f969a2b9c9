"""The kernels on the GPU: time, bytes, share of the copy bandwidth, and the same done otherwise.

A kernel's time is that of a CUDA graph of one launch for each picture of a ring, divided by their
number, by events on the stream; percentiles are those of such means. Two copy rates stand beside
it: that of large copies (`share_of_copy`, which the marks ask for), and that of copies of just as
many bytes in a graph of their own (`share_of_same_copy`): at 720p a launch takes longer than the
bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from gpu_kernel_cases import FOOTPRINT, Case, blend_case, postprocess_case, preprocess_case, slots
from gpu_kernel_peers import host_calls, torch_candidate, torch_ops
from numba import cuda

from rtseg.backends import available
from rtseg.benchmark.device_timing import Call, Candidate, enqueued, in_turns, recorded, spread
from rtseg.device.arrays import Stream
from rtseg.interleave import interleaved, summary

Size: TypeAlias = tuple[int, int]

SIZES: tuple[Size, ...] = ((1280, 720), (1920, 1080), (3840, 2160))
TARGET: Size = (1024, 512)
MAKERS: dict[str, Callable[[Size, Size, Stream, int], Case]] = {
    "preprocess nv12": lambda *a: preprocess_case("nv12", *a),
    "preprocess i420": lambda *a: preprocess_case("i420", *a),
    "preprocess bgr": lambda *a: preprocess_case("bgr", *a),
    "postprocess scene": lambda *a: postprocess_case("scene", *a),
    "postprocess noise": lambda *a: postprocess_case("noise", *a),
    "blend nv12": lambda *a: blend_case("nv12", *a),
    "blend bgr": lambda *a: blend_case("bgr", *a),
}


class Job(NamedTuple):
    """What is to be measured. sizes: of pictures, target: of the network's input, all (width,
    height). copy_rate: bytes per second, read and written; footprint: bytes of a ring."""

    sizes: tuple[Size, ...]
    target: Size
    rounds: int
    copy_rate: float
    footprint: int = FOOTPRINT


def measure(job: Job) -> Iterator[dict[str, Any]]:
    """A row for each kernel and size. Raises AssertionError where a kernel is wrong."""
    for size in job.sizes:
        for name, make in MAKERS.items():
            stream = cuda.stream()
            case = make(size, job.target, stream, job.footprint)
            assert case.name == name
            yield _row(case, size, job, stream)


def _row(case: Case, size: Size, job: Job, stream: Stream) -> dict[str, Any]:
    ours = recorded(stream, case.calls)
    running = {"rtseg": ours, "copy": recorded(stream, copies(case.nbytes, job.footprint, stream))}
    if available.torch_gpu_missing() is None:
        running["torch"] = torch_candidate(torch_ops(case, size, job.target))
    times = in_turns(running, rounds=job.rounds, count=5)
    verdict = case.check()
    alone = Candidate(stream, case.calls[0])
    host = summary(interleaved(host_calls(case, size, job.target), max(3, job.rounds // 4)))
    return {
        "kernel": case.name,
        "size": list(size),
        **figures(times, case.nbytes, job.copy_rate),
        "enqueue_p50_ms": spread(enqueued(alone, 20))["p50_ms"],
        "host_ms": {name: row["median_ms"] for name, row in host.items()},
        **verdict,
    }


def figures(times: dict[str, list[float]], nbytes: int, copy_rate: float) -> dict[str, Any]:
    """From the times of "rtseg", "copy" and, where it is, "torch", in milliseconds."""
    ours = spread(times["rtseg"])
    middle = {name: spread(samples)["p50_ms"] for name, samples in times.items()}
    found: dict[str, Any] = {
        **ours,
        "mbytes": round(nbytes / 1e6, 3),
        "share_of_copy": round(nbytes / copy_rate * 1e3 / middle["rtseg"], 3),
        "same_copy_ms": middle["copy"],
        "share_of_same_copy": round(middle["copy"] / middle["rtseg"], 3),
    }
    if "torch" in middle:
        found |= {
            "torch_ms": middle["torch"],
            "torch_ratio": round(middle["torch"] / middle["rtseg"], 2),
        }
    return found


def copies(nbytes: int, footprint: int, stream: Stream) -> list[Call]:
    """Copies from the device to itself that read and write `nbytes` in all, over a ring."""
    half = max(1, nbytes // 2)
    pairs = [
        tuple(cuda.device_array(half, np.uint8) for _ in range(2))
        for _ in range(slots(nbytes, footprint))
    ]

    def copy(source: Any, target: Any) -> Call:
        return lambda: target.copy_to_device(source, stream=stream)

    return [copy(*pair) for pair in pairs]
