"""On a GPU: CUDA graphs, and TensorRT itself where it is installed."""

from __future__ import annotations

import os
import threading
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from rtseg.backends import parity, tensorrt
from rtseg.backends.plan_use import CACHED
from rtseg.backends.plans import BuildOptions, PlanCache
from rtseg.backends.trt_context import run_once
from rtseg.device import driver
from rtseg.device.graph import Graph, driver_call
from rtseg.errors import EngineError
from rtseg.model import Model

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore:.*Grid size")]
SIZE = (480, 360)


@pytest.fixture(scope="module", autouse=True)
def gpu() -> None:
    """Skips without a GPU; fails if there must be one."""
    reason = driver.missing()
    if reason and os.environ.get("RTSEG_REQUIRE_GPU") == "1":
        pytest.fail(f"RTSEG_REQUIRE_GPU=1, but {reason}")
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> PlanCache:
    if find_spec("tensorrt") is None:
        pytest.skip("tensorrt is not installed")
    return PlanCache(tmp_path_factory.mktemp("plans"))


@pytest.fixture(scope="module")
def engine(cache: PlanCache) -> Any:
    """The default model's engine, built, proved and compared here."""
    model = Model.load("dilanet-m")
    made = tensorrt.build(
        model, SIZE, precision="f16", streams=2, threads=None, cache=cache
    )  # fmt: skip
    yield made
    made.close()


@pytest.fixture
def stream() -> Any:
    from numba import cuda

    cuda.current_context()
    handle = driver_call("cuStreamCreate", 1)
    yield cuda.external_stream(int(handle))
    driver_call("cuStreamDestroy", handle)


def counting() -> tuple[Any, Any]:
    """A kernel that adds one to an element, compiled and loaded, and an array of one zero."""
    from numba import cuda

    @cuda.jit("void(int32[::1])")
    def add(values: Any) -> None:
        values[0] += 1

    add[1, 1](cuda.to_device(np.zeros(1, np.int32)))
    cuda.synchronize()
    return add, cuda.to_device(np.zeros(1, np.int32))


def test_a_graph_runs_what_was_recorded(stream: Any) -> None:
    add, values = counting()
    graph = Graph.capture(stream, lambda: add[1, 1, stream](values))
    stream.synchronize()
    assert values.copy_to_host()[0] == 0
    for _ in range(3):
        graph.launch()
    stream.synchronize()
    assert values.copy_to_host()[0] == 3
    graph.close()


def test_what_cannot_be_recorded_leaves_the_stream_usable(stream: Any) -> None:
    add, values = counting()
    with pytest.raises(EngineError, match="CAPTURE"):
        Graph.capture(stream, lambda: driver_call("cuStreamSynchronize", stream.handle))
    add[1, 1, stream](values)
    stream.synchronize()
    assert values.copy_to_host()[0] == 1


def test_other_threads_may_allocate_while_a_graph_is_recorded(stream: Any) -> None:
    from numba import cuda

    add, values = counting()

    def enqueue() -> None:
        other = threading.Thread(target=lambda: cuda.device_array(1 << 20, np.uint8))
        other.start()
        other.join()
        add[1, 1, stream](values)

    Graph.capture(stream, enqueue).launch()
    stream.synchronize()
    assert values.copy_to_host()[0] == 1


def test_the_plan_is_kept_with_its_proof(engine: Any, cache: PlanCache) -> None:
    (entry,) = cache.entries()
    assert entry.facts["f16_convolutions"] > 0
    assert entry.facts["agreement"] >= parity.LEAST
    plan, reason = tensorrt.compile_plan(
        Model.load("dilanet-m"), SIZE, BuildOptions(), cache=cache
    )  # fmt: skip
    assert plan
    assert reason == CACHED


def test_graph_and_plain_enqueue_give_the_same(engine: Any) -> None:
    context = engine.device_context()
    assert context.graph_refused is None, context.graph_refused
    image = np.random.default_rng(0).standard_normal((3, SIZE[1], SIZE[0]), np.float32)
    context.input.copy_to_device(image.astype(np.float16), stream=context.stream)
    results = []
    for run in (context.run, context._enqueue):
        run()
        results.append(context.logits.copy_to_host(stream=context.stream))
        context.stream.synchronize()
    np.testing.assert_array_equal(*results)


def test_contexts_of_two_threads_do_not_disturb_each_other(engine: Any) -> None:
    images = np.random.default_rng(1).standard_normal((2, 3, SIZE[1], SIZE[0]), np.float32)
    alone = [run_once(engine)(image) for image in images]
    wrong: list[int] = []

    def work(number: int) -> None:
        run = run_once(engine)
        same = [np.array_equal(run(images[number]), alone[number]) for _ in range(50)]
        wrong.extend([number] * same.count(False))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
