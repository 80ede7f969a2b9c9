"""The order of our calls to torch's CUDA interface, with a recording stand-in for it.

Tensors are in the host's memory, a capture runs what it sees, a replay is only counted: this shows
what we do when capturing fails, and when memory lacks, not that CUDA does as we think. That is
test_torch_cuda.py, on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rtseg.backends import build_engine, torch_cuda  # noqa: E402
from rtseg.backends.torch_cuda import CudaContext, CudaEngine  # noqa: E402
from rtseg.errors import EngineError  # noqa: E402
from rtseg.model import Model  # noqa: E402

SIZE = (16, 8)


class Cuda:
    """What was called, in order. capture_fails: what a capture raises."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.capture_fails: Exception | None = None

    def note(self, name: str) -> Callable[..., None]:
        return lambda *_: self.calls.append(name)

    def stream(self) -> Any:
        names = ("wait_stream", "synchronize")
        return SimpleNamespace(cuda_stream=7, **{name: self.note(name) for name in names})

    @contextmanager
    def on(self, stream: Any) -> Iterator[None]:
        assert stream.cuda_stream == 7
        yield

    @contextmanager
    def graph(self, _: Any, *, pool: Any, stream: Any, capture_error_mode: str) -> Iterator[None]:
        assert stream.cuda_stream == 7
        assert pool is None  # it is the context's first graph
        assert capture_error_mode == "thread_local"
        self.calls.append("capture")
        yield
        if self.capture_fails:
            raise self.capture_fails


@pytest.fixture
def cuda(monkeypatch) -> Cuda:
    made = Cuda()
    for name, value in {
        "Stream": made.stream, "stream": made.on, "graph": made.graph,
        "current_stream": made.stream, "empty_cache": made.note("empty_cache"),
        "get_device_name": lambda: "a GPU", "is_available": lambda: True,
        "CUDAGraph": lambda: SimpleNamespace(replay=made.note("replay")),
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch_cuda, "_DEVICE", "cpu")
    monkeypatch.setattr(
        CudaContext, "_seen_by_numba", lambda c: (c._image.numpy(), c._logits.numpy(), c._stream)
    )
    return made


class Network:
    """Logits at a quarter of the size: the mean of the colours, as two classes."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda

    def __call__(self, image: Any) -> Any:
        assert image.shape == (1, 3, SIZE[1], SIZE[0])
        assert image.dtype == torch.float16
        assert torch.is_inference_mode_enabled()
        self._cuda.calls.append("infer")
        return image.float().mean(1, keepdim=True)[..., ::4, ::4].expand(1, 2, -1, -1)


def test_warm_up_comes_before_the_capture_and_is_waited_for(cuda: Cuda) -> None:
    context = CudaContext(Network(cuda), SIZE)
    assert cuda.calls == [
        "wait_stream", "infer", "infer", "infer", "synchronize",
        "capture", "infer", "replay", "synchronize",
    ]  # fmt: skip
    assert context.graph_refused is None
    assert context.logits.shape == (2, 2, 4)
    cuda.calls.clear()
    context.run()
    assert cuda.calls == ["replay"]


def test_without_a_graph_each_run_infers_into_the_same_memory(cuda: Cuda) -> None:
    context = CudaContext(Network(cuda), SIZE, cuda_graph=False)
    assert context.graph_refused == "switched off by the options"
    address = context.logits.__array_interface__["data"]
    for value in (1.0, 5.0):
        context.input[:] = value
        context.run()
        assert (context.logits == value).all()
    assert context.logits.__array_interface__["data"] == address
    assert "capture" not in cuda.calls


def test_a_refused_capture_is_said_and_the_operators_run(cuda: Cuda) -> None:
    cuda.capture_fails = RuntimeError("operation not permitted\nwith advice")
    engine = CudaEngine("torch", lambda: Network(cuda), SIZE)
    context = engine.device_context()
    assert context.graph_refused == "operation not permitted"
    assert engine.notes == ("torch: no CUDA graph, so slower (operation not permitted)",)
    assert cuda.calls[-5:] == ["synchronize", "capture", "infer", "infer", "synchronize"]
    context.input[:] = 2
    context.run()
    assert (context.logits == 2).all()


def test_an_error_that_stays_shows_after_a_refused_capture(cuda: Cuda) -> None:
    cuda.capture_fails = RuntimeError("operation not permitted")
    network = Network(cuda)

    def broken_in_the_end(image: Any) -> Any:
        if cuda.calls.count("infer") > 3:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        return network(image)

    with pytest.raises(EngineError, match="illegal memory access"):
        CudaContext(broken_in_the_end, SIZE)


def test_each_context_is_another_and_the_first_is_there_at_once(cuda: Cuda) -> None:
    loaded = []

    def load() -> Network:
        loaded.append(1)
        return Network(cuda)

    engine = CudaEngine("torch", load, SIZE, notes=("compiled now",))
    assert loaded == [1]
    assert engine.notes == ("compiled now",)
    first, second = engine.device_context(), engine.device_context()
    assert loaded == [1, 1]
    assert first is not second
    engine.close()
    engine.close()
    assert cuda.calls[-1] == "empty_cache"
    with pytest.raises(EngineError, match="closed"):
        engine.device_context()


def test_lack_of_memory_shows_when_the_engine_is_built(cuda: Cuda) -> None:
    def network(_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(EngineError, match=r"out of GPU memory .* lower --size"):
        CudaEngine("torch", lambda: network, SIZE)


def test_a_lost_device_shows_in_the_run(cuda: Cuda, monkeypatch) -> None:
    context = CudaContext(Network(cuda), SIZE)

    def lost() -> None:
        raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(context._graph._graph, "replay", lost)
    with pytest.raises(EngineError, match="unspecified launch failure"):
        context.run()


def test_no_gpu_for_torch_though_the_driver_has_one(cuda: Cuda, model: Model, monkeypatch) -> None:
    monkeypatch.setattr("rtseg.backends.available.torch_gpu_missing", lambda: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineError, match="finds no GPU though the driver has one"):
        build_engine(model, (64, 48), backend="torch")
