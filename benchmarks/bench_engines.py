"""Latency of the shipped models, one image at a time: OpenVINO, ONNX Runtime, torch eager.

    pip install -c constraints.txt -e '.[dev,bench]'   for ONNX Runtime; else it is left out
    pytest benchmarks/bench_engines.py        every candidate by itself, with pytest-benchmark
    python benchmarks/bench_engines.py        in turns: medians and ratios, to results/engines.json

The network alone: no preprocessing, no postprocessing; all cores. A pause before each candidate
lets the threads of the one before stop spinning. RTSEG_BENCH_TINY=1 makes the input small: a test
that each candidate still runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import peers
import results

from rtseg.backends import Precision, build_engine
from rtseg.interleave import interleaved, summary
from rtseg.model import Model, list_models

TINY = os.environ.get("RTSEG_BENCH_TINY") == "1"
SIZES = [(64, 48)] if TINY else [(480, 360), (1024, 512)]
PRECISIONS: tuple[Precision, ...] = ("f32", "bf16")

ORT = "ONNX Runtime f32"
WHAT = {
    "OpenVINO f32": "f32 arithmetic, the FP16 weights of the file",
    "OpenVINO bf16": "bf16 arithmetic, the FP16 weights of the file",
    ORT: peers.WHAT[ORT],
    "torch eager f32": "the trained f32 weights, batch norm not folded",
}

Call = Callable[[], object]


@cache
def candidates(size: tuple[int, int]) -> dict[str, Call]:
    calls: dict[str, Call] = {}
    for name in list_models():
        model = Model.load(name)
        for precision in PRECISIONS:
            calls[f"{name}, OpenVINO {precision}"] = openvino(model, size, precision)
        calls |= onnx_runtime(model, size) | torch_eager(model, size)
    return calls


def openvino(model: Model, size: tuple[int, int], precision: Precision) -> Call:
    context = build_engine(model, size, precision=precision).context()
    context.input[:] = np.random.default_rng(0).normal(size=context.input.shape)
    return context.run


def onnx_runtime(model: Model, size: tuple[int, int]) -> dict[str, Call]:
    if not peers.installed("onnxruntime"):
        return {}
    infer = peers.onnx_runtime(model, size)
    image = np.random.default_rng(0).normal(size=(1, 3, size[1], size[0])).astype(np.float32)
    return {f"{model.contract.name}, {ORT}": lambda: infer(image)}


def torch_eager(model: Model, size: tuple[int, int]) -> dict[str, Call]:
    try:
        import torch

        from rtseg.training.weights import load_weights
    except ImportError:
        return {}
    network, *_ = load_weights(model.path.with_suffix(".safetensors"))
    image = torch.randn(1, 3, size[1], size[0])

    def infer() -> object:
        with torch.inference_mode():
            return network(image)

    return {f"{model.contract.name}, torch eager f32": infer}


CASES = [(size, name) for size in SIZES for name in candidates(size)]


@pytest.mark.parametrize(("size", "candidate"), CASES)
def test_engine(benchmark: Any, size: tuple[int, int], candidate: str) -> None:
    benchmark.group = f"{size[0]}x{size[1]}"
    benchmark(candidates(size)[candidate])


def main() -> None:
    tables = {}
    for size in SIZES:
        label = f"{size[0]}x{size[1]}"
        rounds, pause = (3, 0.0) if TINY else (40, 0.08)
        tables[label] = summary(interleaved(candidates(size), rounds, warmup=3, pause=pause))
        print(f"\n{label:32s} median ms    min   ratio")
        for name, row in tables[label].items():
            print(f"  {name:30s} {row['median_ms']:8.2f} {row['min_ms']:8.2f} {row['ratio']:6.2f}")
    if not TINY:
        results.write("engines", {"threads": "all cores", "what": WHAT, "latency": tables})


if __name__ == "__main__":
    main()
