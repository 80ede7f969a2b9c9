"""Contexts of a TensorRT engine: memory, streams, graphs, on a recording stand-in.

What the stand-in shows, and what not, is written in trt_machine.py.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest
from trt_machine import SIZE, Machine

from rtseg.backends.trt_context import run_once
from rtseg.backends.trt_engine import TensorRtEngine
from rtseg.errors import EngineError


def loaded(machine: Machine, *, cuda_graph: bool = True) -> TensorRtEngine:
    """The engine of a plan, as it comes out of the cache."""
    trt = sys.modules["tensorrt"]
    return TensorRtEngine(trt, b"plan", machine.model, SIZE, cuda_graph=cuda_graph)


def test_a_graph_is_captured_after_a_first_inference(machine: Machine) -> None:
    context = loaded(machine).device_context()
    assert context.graph_refused is None
    calls = machine.calls
    first, synchronised = calls.index("(inference)"), calls.index("cuStreamSynchronize")
    assert first < synchronised < calls.index("cuStreamBeginCapture")
    assert calls.count("(inference)") == 2  # first and at the trial launch, not while recording
    assert calls.index("cuGraphLaunch") > calls.index("cuGraphInstantiate")
    context.run()
    assert calls[-2:] == ["cuGraphLaunch", "(inference)"]


@pytest.mark.parametrize(
    "call",
    ["cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiate", "cuGraphLaunch"],
)
def test_a_refused_capture_leaves_plain_enqueue(machine: Machine, call: str) -> None:
    machine.capture_refused = call
    engine = loaded(machine)
    context = engine.device_context()
    assert context.graph_refused is not None
    assert call in context.graph_refused
    assert "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED (900), refused" in context.graph_refused
    refused = len(machine.calls) - machine.calls[::-1].index(call)
    after = ["execute_async_v3", "(inference)", "cuStreamSynchronize"]
    assert [c for c in machine.calls[refused:] if c in after] == after
    machine.calls.clear()
    context.run()
    assert machine.calls == ["execute_async_v3", "(inference)"]
    assert len([note for note in engine.notes if "no CUDA graph" in note]) == 1


def test_work_around_the_inference_is_recorded_with_it(machine: Machine) -> None:
    """The inference that is launched then is the enqueued one: a graph cannot launch another."""
    context = loaded(machine).device_context()
    done: list[str] = []

    def around(name: str) -> None:
        assert machine.capturing is not None
        machine.capturing.append(lambda: done.append(name))

    recording = context.record(lambda: around("before"), lambda: around("after"))
    assert done == []
    machine.calls.clear()
    recording.launch()
    assert done == ["before", "after"]
    assert machine.calls == ["cuGraphLaunch", "(inference)"]
    context.run()
    assert done == ["before", "after"], "the inference alone is a graph of its own"
    machine.calls.clear()
    context.close()
    assert machine.calls.count("cuGraphExecDestroy") == 2


def test_a_refused_recording_leaves_the_inference(machine: Machine) -> None:
    context = loaded(machine).device_context()
    machine.capture_refused = "cuStreamEndCapture"
    with pytest.raises(EngineError, match="cuStreamEndCapture"):
        context.record(lambda: None, lambda: None)
    context.run()
    assert machine.calls[-2:] == ["cuGraphLaunch", "(inference)"]


def test_graphs_can_be_switched_off(machine: Machine) -> None:
    engine = loaded(machine, cuda_graph=False)
    assert engine.device_context().graph_refused == "switched off by the options"
    assert engine.notes == ()
    assert "cuStreamBeginCapture" not in machine.calls


def test_what_is_bound_is_what_is_read(machine: Machine) -> None:
    run = run_once(loaded(machine))
    rng = np.random.default_rng(0)
    image = rng.standard_normal((3, SIZE[1], SIZE[0]), np.float32)
    reference = machine._reference().context()
    reference.input[:] = image.astype(np.float16)
    np.testing.assert_array_equal(run(image), reference.run())


def test_contexts_have_memory_of_their_own_and_close_in_order(machine: Machine) -> None:
    engine = loaded(machine)
    one, two = engine.device_context(), engine.device_context()
    addresses = {a.__cuda_array_interface__["data"][0] for c in (one, two)
                 for a in (c.input, c.logits)}  # fmt: skip
    assert len(addresses) == 4
    machine.calls.clear()
    engine.close()
    freed = ["cuStreamSynchronize", "cuGraphExecDestroy", "cuStreamDestroy"]
    assert machine.calls == freed * 2
    engine.close()
    assert machine.calls == freed * 2


def test_an_engine_that_wants_another_layout_is_refused(machine: Machine) -> None:
    machine.formats["image"] = "TensorFormat.HWC8"
    with pytest.raises(EngineError, match=r"HWC8.*expected.*LINEAR"):
        loaded(machine)


def test_an_error_that_stays_shows_after_a_refused_capture(machine: Machine) -> None:
    machine.capture_refused = "cuGraphLaunch"
    machine.enqueues = 2  # the first inference, and the one that is recorded
    with pytest.raises(EngineError, match=r"put the inference on its stream: .*Error Code 10"):
        loaded(machine)


def test_without_room_for_the_first_context_there_is_no_engine(machine: Machine) -> None:
    machine.room = False
    with pytest.raises(EngineError, match=r"create an execution context.*Error Code 10"):
        loaded(machine)


def test_without_room_for_another_the_log_says_why(machine: Machine) -> None:
    engine = loaded(machine)
    engine.device_context()
    machine.room = False
    with pytest.raises(EngineError, match=r"create an execution context.*Error Code 10"):
        engine.device_context()


def test_a_failed_enqueue_frees_the_context(machine: Machine) -> None:
    machine.enqueues = 0
    with pytest.raises(EngineError, match=r"put the inference on its stream: .*Error Code 10"):
        loaded(machine)
    assert machine.calls[-1] == "cuStreamDestroy"


def test_a_closed_engine_gives_no_context(machine: Machine) -> None:
    engine = loaded(machine)
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.device_context()
