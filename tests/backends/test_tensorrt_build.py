"""Our calls of TensorRT in order, and what becomes of its failures, on a recording stand-in.

What the stand-in shows, and what not, is written in trt_machine.py.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

import pytest
from trt_machine import SIZE, Machine

from rtseg.backends import tensorrt
from rtseg.backends.plan_use import CACHED
from rtseg.backends.plans import BuildOptions, PlanCache
from rtseg.backends.trt_precision import convolution_nodes


def compiled(machine: Machine, cache: PlanCache, **options: object) -> tuple[bytes, str]:
    return tensorrt.compile_plan(
        machine.model, SIZE, BuildOptions(), cache=cache, **options  # type: ignore[arg-type]
    )  # fmt: skip


def plans(cache: PlanCache) -> list[object]:
    return list(cache.entries())


def test_a_plan_is_built_proved_compared_and_kept(machine: Machine, cache: PlanCache) -> None:
    plan, reason = compiled(machine, cache)
    assert plan == b"plan 10.16.1.11"
    assert reason == "no plan yet"
    order = [
        "create_network", "parse", "set_memory_pool_limit", "set_shape",
        "add_optimization_profile", "set_timing_cache", "build_serialized_network",
        "deserialize_cuda_engine", "create_execution_context", "set_tensor_address",
        "execute_async_v3", "create_engine_inspector",
    ]  # fmt: skip
    positions = [machine.calls.index(name) for name in order]
    assert positions == sorted(positions)
    (entry,) = cache.entries()
    assert entry.facts["f16_convolutions"] == 1
    assert (entry.facts["covered"], entry.facts["total"]) == (
        0,
        len(convolution_nodes(machine.model)),
    )
    assert entry.facts["agreement"] > 0.995
    assert entry.facts["apart"] < 0.001
    assert entry.key.cuda == "13.0"


def test_the_input_is_fixed_and_typed(machine: Machine, cache: PlanCache) -> None:
    compiled(machine, cache)
    shape = (1, 3, SIZE[1], SIZE[0])
    assert machine.seen["shape"] == shape
    assert machine.seen["profile"] == ("image", shape, shape, shape)
    assert machine.seen["flags"] == 1 << 5  # what the module says, not a number known here
    config = machine.seen["config"]
    assert machine.seen["pool"] == ("MemoryPoolType.WORKSPACE", 1 << 30)
    assert config.profiling_verbosity == "ProfilingVerbosity.DETAILED"
    assert config.builder_optimization_level == 3
    assert not hasattr(config, "hardware_compatibility_level")


def test_a_kept_plan_is_not_built_again(machine: Machine, cache: PlanCache) -> None:
    compiled(machine, cache)
    machine.calls.clear()
    assert compiled(machine, cache) == (b"plan 10.16.1.11", CACHED)
    assert "build_serialized_network" not in machine.calls
    _, reason = compiled(machine, cache, rebuild=True)
    assert reason == "asked for"
    assert "build_serialized_network" in machine.calls


def test_a_kept_plan_does_not_wait_for_the_builds_of_others(
    machine: Machine, cache: PlanCache
) -> None:
    compiled(machine, cache)
    key = tensorrt.plan_key(tensorrt.load_module(), machine.model, SIZE, BuildOptions())
    second = PlanCache(cache.folder, say=pytest.fail)  # which is told when it waits
    with cache.building(key):
        assert compiled(machine, second) == (b"plan 10.16.1.11", CACHED)


def test_with_a_graph_and_without_it_is_the_same_plan(machine: Machine, cache: PlanCache) -> None:
    compiled(machine, cache)
    options = BuildOptions(cuda_graph=False)
    assert tensorrt.compile_plan(machine.model, SIZE, options, cache=cache)[1] == CACHED


def test_what_is_going_to_take_minutes_is_said_before(machine: Machine, tmp_path: Path) -> None:
    said: list[str] = []
    cache = PlanCache(tmp_path / "plans", say=lambda text: said.append(f"{text} {machine.calls}"))
    compiled(machine, cache)
    compiled(machine, cache)
    assert said == ["tensorrt: building for 160x96, minutes; no plan yet []"]
    assert cache.notes == []


def test_another_version_of_tensorrt_builds_again(
    machine: Machine, cache: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled(machine, cache)
    machine.version = "11.4.0.106"
    monkeypatch.setitem(sys.modules, "tensorrt", machine.modules()["tensorrt"])
    plan, reason = compiled(machine, cache)
    assert plan == b"plan 11.4.0.106"
    assert "10.16.1.11" in reason


def test_timing_is_kept_and_used_again(machine: Machine, cache: PlanCache) -> None:
    compiled(machine, cache)
    compiled(machine, cache, rebuild=True)
    assert machine.seen["timing"] == [b"", b"timing "]


def test_timing_of_another_gpu_is_dropped(machine: Machine, cache: PlanCache) -> None:
    trt = tensorrt.load_module()
    key = tensorrt.plan_key(trt, machine.model, SIZE, BuildOptions())
    cache.put_timing(key, b"other GPU")
    compiled(machine, cache)
    assert machine.seen["timing"] == [b"other GPU", b""]


def test_progress_is_passed_on(machine: Machine, cache: PlanCache) -> None:
    steps: list[tuple[str, int, int]] = []
    compiled(machine, cache, progress=lambda *step: steps.append(step))
    assert steps == [("Building", done, 3) for done in (0, 1, 2, 3)]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("the caller's own")])
def test_what_progress_raises_stops_the_build(
    machine: Machine, cache: PlanCache, error: BaseException
) -> None:
    def stop(phase: str, done: int, steps: int) -> None:
        if done == 1:
            raise error

    with pytest.raises(type(error)) as caught:
        compiled(machine, cache, progress=stop)
    assert caught.value is error
    assert not plans(cache)


def test_ctrl_c_during_a_build_is_not_lost(machine: Machine, cache: PlanCache) -> None:
    machine.interrupted = True
    ours = signal.default_int_handler
    before = signal.signal(signal.SIGINT, ours)  # shells start what runs behind without one
    try:
        with pytest.raises(KeyboardInterrupt):
            compiled(machine, cache)
        assert signal.getsignal(signal.SIGINT) is ours
    finally:
        signal.signal(signal.SIGINT, before)
    assert not plans(cache)


def test_ctrl_c_that_is_ignored_stops_no_build(machine: Machine, cache: PlanCache) -> None:
    machine.interrupted = True
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        compiled(machine, cache)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(plans(cache)) == 1


def test_a_thread_may_build(machine: Machine, cache: PlanCache) -> None:
    """Only the main one may handle signals."""
    building = threading.Thread(target=lambda: compiled(machine, cache))
    building.start()
    building.join()
    assert len(plans(cache)) == 1
