"""What the processor reaches at best, with all cores this process may use."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from rtseg.backends.openvino import compile_graph
from rtseg.hardware import cpu_count

CALLS = 8


def matrix_rate(precision: str, order: int = 1536) -> float:
    """Operations per second of OpenVINO's product of two square matrices in that precision, the
    best of several. Raises EngineError."""
    from openvino import Model as Graph
    from openvino import opset13 as ops

    values = np.random.default_rng(0).standard_normal((2, order, order), np.float32)
    image = ops.parameter([order, order], np.float32)
    product = ops.matmul(image, ops.constant(values[1]), False, False)
    request = compile_graph(Graph([product], [image], "product"), precision).create_infer_request()
    request.get_input_tensor().data[:] = values[0]
    return 2 * order**3 / _best(request.infer)


def copy_rate(mebibytes: int = 256) -> float:
    """Bytes per second, read + written, of copies that each core makes of its part of an array."""
    cores = cpu_count()
    source = np.ones((cores, (mebibytes << 20) // cores), np.uint8)
    target = np.zeros_like(source)
    with ThreadPoolExecutor(cores) as pool:
        best = _best(lambda: list(pool.map(np.copyto, target, source)))
    return 2 * source.nbytes / best


def _best(call: Callable[[], object]) -> float:
    """Seconds of the fastest of several calls."""
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
