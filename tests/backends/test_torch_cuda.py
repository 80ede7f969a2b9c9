"""torch on the GPU: what it calls is there with these names, and what runs there is right."""

from __future__ import annotations

import inspect
import threading
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch_gpu import require_gpu  # noqa: E402

from rtseg.backends import build_engine, parity  # noqa: E402
from rtseg.backends.torch import build  # noqa: E402
from rtseg.backends.torch_cuda import _best_algorithms, first_line, translated  # noqa: E402
from rtseg.errors import EngineError  # noqa: E402
from rtseg.model import Model, list_models  # noqa: E402

SIZE = (240, 184)


# Without a GPU: names and signatures, and the translation of errors


def test_what_is_called_is_there() -> None:
    capture = inspect.signature(torch.cuda.graph.__init__).parameters
    assert {"cuda_graph", "stream", "capture_error_mode"} <= capture.keys()
    assert isinstance(torch.backends.cudnn.benchmark, bool)
    assert "device" in inspect.signature(torch.cuda.get_device_name).parameters
    assert callable(torch.cuda.CUDAGraph.replay)
    numba_cuda = pytest.importorskip("numba.cuda")
    assert "sync" in inspect.signature(numba_cuda.as_cuda_array).parameters
    assert list(inspect.signature(numba_cuda.external_stream).parameters) == ["ptr"]


def test_the_switch_of_cudnn_is_put_back() -> None:
    with pytest.raises(ZeroDivisionError), _best_algorithms():
        assert torch.backends.cudnn.benchmark
        _ = 1 / 0
    assert not torch.backends.cudnn.benchmark


def test_lack_of_memory_says_what_to_lower() -> None:
    says = r"out of GPU memory while warming up; lower --size"
    with pytest.raises(EngineError, match=says), translated("warming up"):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


def test_errors_of_cuda_are_engine_errors() -> None:
    says = r"^the GPU failed while inferring: CUDA error: lost$"
    with pytest.raises(EngineError, match=says), translated("inferring"):
        raise torch.AcceleratorError("CUDA error: lost\nCompile with TORCH_USE_CUDA_DSA")


def test_other_errors_pass() -> None:
    with pytest.raises(EngineError, match=r"^closed$"), translated("inferring"):
        raise EngineError("closed")
    with pytest.raises(ValueError, match="mine"), translated("inferring"):
        raise ValueError("mine")
    assert first_line(KeyError()) == "KeyError"
    inductor = RuntimeError("backend='inductor' raised:\nno C compiler\nSet TORCH_LOGS")
    assert first_line(inductor) == "backend='inductor' raised: no C compiler"


# On a GPU


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((3, SIZE[1], SIZE[0])).astype(np.float16)


def run(context: Any, image: np.ndarray) -> np.ndarray:
    """Upload, infer and download, all on the context's stream."""
    context.input.copy_to_device(image, stream=context.stream)
    context.run()
    logits = context.logits.copy_to_host(stream=context.stream)
    context.stream.synchronize()
    return logits


@pytest.fixture
def engine(model: Model):
    require_gpu()
    built = build_engine(model, SIZE, backend="torch")
    yield built
    built.close()


@pytest.mark.gpu
@pytest.mark.parametrize("name", list_models())
def test_labels_agree_with_openvino(name: str) -> None:
    require_gpu()
    model = Model.load(name)
    built = build_engine(model, SIZE, backend="torch")
    context = built.device_context()
    found = parity.check(lambda x: run(context, x.astype(np.float16)), model, SIZE, least=0.995)
    assert found.agreement >= 0.995
    built.close()


@pytest.mark.gpu
def test_labels_agree_with_torch_on_the_cpu(engine, model: Model) -> None:
    exact = build_engine(model, SIZE, backend="torch", precision="f32").context()
    context = engine.device_context()
    for seed in range(3):
        exact.input[:] = noise(seed)
        agreement = (run(context, noise(seed)).argmax(0) == exact.run().argmax(0)).mean()
        assert agreement >= 0.995


@pytest.mark.gpu
def test_what_it_is_and_where_its_memory_lies(engine) -> None:
    assert (engine.name, engine.precision) == ("torch", "f16")
    assert engine.device == torch.cuda.get_device_name()
    context = engine.device_context()
    assert (context.input.shape, context.input.dtype) == ((3, SIZE[1], SIZE[0]), np.float16)
    assert context.logits.shape == (11, SIZE[1] // 4, SIZE[0] // 4)
    assert context.logits.dtype == np.float32
    assert context.input.is_c_contiguous()
    assert context.logits.is_c_contiguous()
    assert int(context.stream) != 0


@pytest.mark.gpu
def test_inference_is_one_graph_and_gives_what_the_operators_give(engine, model: Model) -> None:
    assert engine.notes == ()
    context = engine.device_context()
    assert context.graph_refused is None
    from rtseg.backends.torch_cuda import CudaContext

    single = CudaContext(context._forward, SIZE, cuda_graph=False)
    assert single.graph_refused
    for seed in range(3):
        np.testing.assert_allclose(
            run(context, noise(seed)), run(single, noise(seed)), atol=0.05, rtol=0.01
        )
    single.close()
    single.close()


@pytest.mark.gpu
def test_work_around_the_inference_is_recorded_with_it(engine) -> None:
    context = engine.device_context()
    before = torch.zeros(1, device="cuda")
    after = torch.zeros(1, device="cuda")
    expected = run(context, noise(0))
    recording = context.record(lambda: before.add_(1), lambda: after.add_(2))
    context.input.copy_to_device(noise(1), stream=context.stream)
    context.run()
    for _ in range(3):
        context.input.copy_to_device(noise(0), stream=context.stream)
        recording.launch()
    logits = context.logits.copy_to_host(stream=context.stream)
    context.stream.synchronize()
    np.testing.assert_allclose(logits, expected, atol=0.05, rtol=0.01)
    assert (before.item(), after.item()) == (3, 6)
    recording.close()
    recording.close()


@pytest.mark.gpu
def test_two_contexts_at_once(engine) -> None:
    alone = engine.device_context()
    expected = [run(alone, noise(seed)) for seed in range(2)]
    same = []

    def work(seed: int) -> None:
        context = engine.device_context()
        for _ in range(50):
            logits = run(context, noise(seed))
            same.append(np.allclose(logits, expected[seed], atol=0.05, rtol=0.01))

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert same == [True] * 100


@pytest.mark.gpu
def test_closing_gives_the_memory_back(model: Model) -> None:
    require_gpu()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    built = build_engine(model, SIZE, backend="torch")
    built.device_context()
    built.close()
    with pytest.raises(EngineError, match="closed"):
        built.device_context()
    del built
    assert torch.cuda.memory_allocated() <= before + 2**20


@pytest.mark.gpu
def test_the_compiled_module_agrees(engine, model: Model) -> None:
    compiled = build(model, SIZE, precision="auto", streams=1, threads=None, optimise=True)
    ours, theirs = compiled.device_context(), engine.device_context()
    assert ours.graph_refused is None
    agreement = (run(ours, noise(0)).argmax(0) == run(theirs, noise(0)).argmax(0)).mean()
    assert agreement >= 0.995
    compiled.close()
