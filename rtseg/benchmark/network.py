"""The network alone: what it costs, and the share of its roofline that an engine reaches."""

from __future__ import annotations

from typing import Any

import onnx

from rtseg.backends import available
from rtseg.benchmark.roofline import Bound, Rates, bound, count_layers
from rtseg.segmenter import Segmenter


def network(segmenter: Segmenter, inference_ms: float | None) -> dict[str, Any]:
    """FLOPs and bytes of one inference, the device's rates, and the least time that follows.

    segmenter: whose engine is built. inference_ms: what one inference takes with the whole device
    to itself; None if that was not measured. What cannot be told here is under "left_out", with
    the reason.
    """
    assert segmenter.size is not None
    precision = segmenter.engine(*segmenter.size).precision
    graph = onnx.load_model_from_string(segmenter.model.data)
    try:
        rates = _device_rates() if segmenter.on_device else _host_rates(precision)
        width = 4 if precision == "f32" else 2
        limit = bound(count_layers(graph, segmenter.size, float_bytes=width), rates)
    except (ValueError, ModuleNotFoundError) as exc:  # not countable; no torch to measure with
        return {"left_out": f"no roofline: {exc}"}
    return _figures(limit, rates, inference_ms)


def _figures(limit: Bound, rates: Rates, inference_ms: float | None) -> dict[str, Any]:
    return {
        "gflops": round(limit.flops / 1e9, 4),
        "mbytes": round(limit.bytes / 1e6, 3),
        "layers": limit.layers,
        "matrix_gflops_s": round(rates.flops / 1e9, 1),
        "copy_gbytes_s": round(rates.bytes / 1e9, 2),
        "bound_ms": round(limit.ms, 5),
        "bound_by_memory": round(limit.memory_share, 3),
        "inference_ms": inference_ms,
        "share_of_roofline": None if inference_ms is None else round(limit.ms / inference_ms, 4),
    }


def _host_rates(precision: str) -> Rates:
    from rtseg.benchmark import host_rates

    return Rates(host_rates.matrix_rate(precision), host_rates.copy_rate())


def _device_rates() -> Rates:
    """Raises ModuleNotFoundError where torch, which multiplies the matrices, cannot use the GPU."""
    from rtseg.benchmark import device_rates

    why = available.torch_gpu_missing()
    if why:
        raise ModuleNotFoundError(why)
    return Rates(device_rates.matrix_rate(), device_rates.copy_rates()["copy"])
