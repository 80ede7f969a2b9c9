"""The torch engine on the CPU."""

from __future__ import annotations

import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rtseg.backends import build_engine, parity  # noqa: E402
from rtseg.backends.onnx_module import module_of  # noqa: E402
from rtseg.backends.torch import build, optimised  # noqa: E402
from rtseg.errors import EngineError  # noqa: E402
from rtseg.model import Model, list_models  # noqa: E402

SIZE = (240, 184)


@pytest.fixture(autouse=True)
def threads():
    """The number of threads that torch had before: it is the process's."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch) -> None:
    monkeypatch.setattr("rtseg.device.driver.missing", lambda: "no GPU in this test")


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((3, SIZE[1], SIZE[0])).astype(np.float32)


@pytest.mark.parametrize("name", list_models())
def test_labels_agree_with_openvino_on_rendered_streets(name: str) -> None:
    model = Model.load(name)
    context = build_engine(model, SIZE, backend="torch").context()

    def candidate(image: np.ndarray) -> np.ndarray:
        context.input[:] = image
        return context.run()

    found = parity.check(candidate, model, SIZE, frames=2, least=0.999)
    assert found.agreement >= 0.999


def test_what_it_is(model: Model) -> None:
    engine = build_engine(model, SIZE, backend="torch")
    assert (engine.name, engine.precision, engine.notes) == ("torch", "f32", ())
    assert engine.device


def test_the_input_is_the_engine_s_own_memory(model: Model) -> None:
    context = build_engine(model, SIZE, backend="torch").context()
    assert context.input.shape == (3, SIZE[1], SIZE[0])
    assert context.input.dtype == np.float32
    assert context.input.flags.c_contiguous
    before = context.input.__array_interface__["data"]
    outputs = []
    for seed in (1, 2):
        context.input[:] = noise(seed)
        outputs.append(context.run().copy())
    assert context.input.__array_interface__["data"] == before
    assert not np.array_equal(*outputs)
    assert outputs[0].shape == (11, SIZE[1] // 4, SIZE[0] // 4)
    assert outputs[0].flags.c_contiguous


def test_contexts_do_not_disturb_each_other(model: Model) -> None:
    engine = build_engine(model, SIZE, backend="torch", streams=2, threads=2)
    alone = engine.context()
    expected = []
    for seed in range(2):
        alone.input[:] = noise(seed)
        expected.append(alone.run().copy())
    wrong = []

    def work(seed: int) -> None:
        context = engine.context()
        context.input[:] = noise(seed)
        wrong.extend(i for i in range(4) if not np.allclose(context.run(), expected[seed]))

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


def test_bf16_on_request(model: Model) -> None:
    engine = build_engine(model, SIZE, backend="torch", precision="bf16")
    assert engine.precision == "bf16"
    context, exact = engine.context(), build_engine(model, SIZE, backend="torch").context()
    context.input[:] = exact.input[:] = noise()
    logits, expected = context.run(), exact.run()
    difference = np.abs(logits - expected).max() / np.ptp(expected)
    assert 1e-5 < difference < 0.05  # bf16 has 8 bits


def test_streams_share_the_threads(model: Model) -> None:
    build_engine(model, SIZE, backend="torch", streams=2, threads=4)
    seen = []
    worker = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    worker.start()
    worker.join()
    assert seen == [2]


def test_the_number_of_threads_is_left_alone_without_need(model: Model) -> None:
    torch.set_num_threads(3)
    build_engine(model, SIZE, backend="torch")
    assert torch.get_num_threads() == 3


def test_f16_needs_a_gpu(model: Model) -> None:
    with pytest.raises(EngineError, match=r"f16 on an NVIDIA GPU only: no GPU in this test"):
        build_engine(model, SIZE, backend="torch", precision="f16")
    with pytest.raises(EngineError, match=r"precision 'f8' here; expected auto, f32 or bf16"):
        build(model, SIZE, precision="f8", streams=1, threads=None)


def test_a_closed_engine_gives_no_context(model: Model) -> None:
    engine = build_engine(model, SIZE, backend="torch")
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.context()


def test_errors_of_torch_are_engine_errors(model: Model, monkeypatch) -> None:
    context = build_engine(model, SIZE, backend="torch").context()
    monkeypatch.setattr(context, "_image", torch.zeros(1, 4, 8, 8))
    with pytest.raises(EngineError, match="torch failed to infer"):
        context.run()


def test_the_compiler_sees_one_graph(model: Model) -> None:
    """Without its code generator, which needs a C++ compiler or a GPU."""
    module = module_of(model, (64, 48), torch.float32)
    compiled = optimised(module, (64, 48), backend="eager")
    image = torch.rand(1, 3, 48, 64)
    with torch.inference_mode():
        torch.testing.assert_close(compiled(image), module(image))


def test_eval_compares_the_two_engines(model: Model) -> None:
    """What `rtseg eval --backend torch --against …` measures with."""
    from rtseg.segmenter import Segmenter
    from rtseg.synthetic import Scene

    with (
        Segmenter(model, size=SIZE, backend="torch") as ours,
        Segmenter(model, size=SIZE, backend="openvino", precision="f32") as reference,
    ):
        for seed in range(2):
            image, _ = Scene(320, 240, seed=seed).render(40)
            agreement = (ours(image).labels == reference(image).labels).mean()
            assert agreement >= 0.999
