"""OpenVINO on the CPU.

bf16 is not always the faster one: processors with AMX tiles or full-rate AVX-512 BF16 run it about
twice as fast as f32, others (AVX-512 BF16 at half rate) half as fast. `precision="auto"` therefore
times one small convolution in both.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rtseg.errors import EngineError
from rtseg.hardware import cpu_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtseg.model import Model

_TYPES = {"f32": "f32", "bf16": "bf16"}
"""OpenVINO's names of the precisions, and ours."""

BF16_MARGIN = 1.2
"""bf16 is chosen if it is at least this many times as fast as f32."""


class OpenVinoContext:
    """One infer request; `input` is the request's own tensor."""

    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()
        self.input: NDArray[np.float32] = self._request.get_input_tensor().data[0]
        self._logits: NDArray[np.float32] = self._request.get_output_tensor().data[0]

    def run(self) -> NDArray[np.float32]:
        """(C, h / s, w / s) float32 logits, valid until the next call."""
        try:
            self._request.infer(share_inputs=True, share_outputs=True)
        except RuntimeError as exc:
            raise EngineError(f"OpenVINO failed to infer: {exc}") from exc
        return self._logits


class OpenVinoEngine:
    """A model compiled for the CPU at one input size."""

    name = "openvino"
    notes: tuple[str, ...] = ()

    def __init__(self, compiled: Any, precision: str, device: str) -> None:
        self._compiled: Any = compiled
        self.precision = precision
        self.device = device

    def context(self) -> OpenVinoContext:
        return OpenVinoContext(self._compiled)

    def close(self) -> None:
        self._compiled = None


def build(
    model: Model, size: tuple[int, int], *, precision: str, streams: int, threads: int | None
) -> OpenVinoEngine:
    """Compile for inputs of `size` (width, height). Raises EngineError."""
    core = _core()
    try:
        chosen = precision if precision != "auto" else best_precision()
        if chosen not in _TYPES.values():
            raise EngineError(f"OpenVINO has no precision {chosen!r}; expected auto, f32 or bf16")
        graph = _prepared(core, model.data, size)
        compiled = core.compile_model(graph, "CPU", _options(chosen, streams, threads))
        device = core.get_property("CPU", "FULL_DEVICE_NAME").strip()
    except RuntimeError as exc:
        raise EngineError(f"OpenVINO cannot compile {model.path}: {exc}") from exc
    return OpenVinoEngine(compiled, _precision(compiled), device)


def compile_graph(graph: Any, precision: str) -> Any:
    """An OpenVINO graph for one inference at a time on all cores. Raises EngineError."""
    core = _core()
    try:
        return core.compile_model(graph, "CPU", _options(precision, 1, None))
    except RuntimeError as exc:
        raise EngineError(f"OpenVINO cannot compile {graph.friendly_name}: {exc}") from exc


def _precision(compiled: Any) -> str:
    """What the engine says it computes in, whatever was asked for."""
    name = str(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())
    return _TYPES.get(name, name)


@lru_cache(maxsize=1)
def best_precision() -> Literal["f32", "bf16"]:
    """ "bf16" where this CPU is clearly faster with it, else "f32". Takes about 0.1 s, once."""
    core = _core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return "f32"
    graph = _probe_graph()
    options = {name: _options(name, 1, 1) for name in ("f32", "bf16")}
    requests = {
        name: core.compile_model(graph, "CPU", value).create_infer_request()
        for name, value in options.items()
    }
    for request in requests.values():  # not what was in memory: denormals would be slow
        request.get_input_tensor().data[:] = 0.5
        request.infer()
    best = dict.fromkeys(requests, float("inf"))
    for _ in range(8):
        for name, request in requests.items():
            start = time.perf_counter()
            request.infer()
            best[name] = min(best[name], time.perf_counter() - start)
    return "bf16" if best["f32"] > BF16_MARGIN * best["bf16"] else "f32"


def _core() -> Any:
    try:
        import openvino
    except ImportError as exc:
        raise EngineError(f"OpenVINO cannot be loaded ({exc}); pip install openvino") from exc
    return openvino.Core()


def _options(precision: str, streams: int, threads: int | None) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": precision,
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": threads or cpu_count(),
    }


def _prepared(core: Any, data: bytes, size: tuple[int, int]) -> Any:
    """The graph at a fixed input size, taking float32: numba writes no float16."""
    from openvino import Type
    from openvino.preprocess import PrePostProcessor

    graph = core.read_model(data)
    graph.reshape([1, 3, size[1], size[0]])
    steps = PrePostProcessor(graph)
    steps.input().tensor().set_element_type(Type.f32)
    return steps.build()


def _probe_graph() -> Any:
    """Two 3x3 convolutions of 64 channels on a 48x64 map, 0.23 GMAC."""
    from openvino import Model as Graph
    from openvino import opset13 as ops

    image = ops.parameter([1, 64, 48, 64], np.float32)
    node = image
    for seed in range(2):
        values = np.random.default_rng(seed).standard_normal((64, 64, 3, 3), np.float32) / 24
        node = ops.convolution(node, ops.constant(values), [1, 1], [1, 1], [1, 1], [1, 1])
    return Graph([node], [image], "probe")
