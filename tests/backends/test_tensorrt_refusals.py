"""What TensorRT refuses, what we refuse of it, and kept plans as engines, on a recording stand-in.

What the stand-in shows, and what not, is written in trt_machine.py.
"""

from __future__ import annotations

import json
import sys

import pytest
from trt_machine import HALF, SIZE, Machine, layer

from rtseg.backends import tensorrt
from rtseg.backends.compiling import Job, adopt
from rtseg.backends.plans import BuildOptions, PlanCache
from rtseg.errors import EngineError, InputError


def compiled(machine: Machine, cache: PlanCache, **options: object) -> tuple[bytes, str]:
    return tensorrt.compile_plan(
        machine.model, SIZE, BuildOptions(), cache=cache, **options  # type: ignore[arg-type]
    )  # fmt: skip


def plans(cache: PlanCache) -> list[object]:
    return list(cache.entries())


def test_parser_errors_name_node_and_operator(machine: Machine, cache: PlanCache) -> None:
    machine.parser_errors = [("node_unpool", "MaxUnpool", "no importer"), ("b", "Col2Im", "none")]
    with pytest.raises(EngineError) as caught:
        compiled(machine, cache)
    assert "node node_unpool (MaxUnpool): no importer" in str(caught.value)
    assert "node b (Col2Im): none" in str(caught.value)
    assert not plans(cache)


def test_a_failed_build_gives_the_errors_of_the_log(machine: Machine, cache: PlanCache) -> None:
    machine.builds = False
    with pytest.raises(EngineError, match="Error Code 10") as caught:
        compiled(machine, cache)
    assert "a warning before it" not in str(caught.value)
    assert not plans(cache)


def test_a_plan_that_does_not_load_gives_the_log(machine: Machine, cache: PlanCache) -> None:
    machine.loads = False
    with pytest.raises(EngineError, match=r"cannot load the plan: .*Error Code 10"):
        compiled(machine, cache)
    assert not plans(cache)


def test_an_fp32_engine_is_refused_and_not_kept(machine: Machine, cache: PlanCache) -> None:
    machine.layers.append(layer("second", "CaskConvolution", "Row major linear FP32"))
    with pytest.raises(EngineError, match=r"1 of 2 convolutions in FP32 \(first: second\)"):
        compiled(machine, cache)
    assert not plans(cache)


def test_what_the_inspector_said_of_a_refused_engine_is_kept(
    machine: Machine, cache: PlanCache
) -> None:
    machine.layers = [layer("second", "CaskConvolution", "Row major linear FP32")]
    with pytest.raises(
        EngineError, match=r"what the inspector says: .*\.layers\.json\)$"
    ) as caught:
        compiled(machine, cache)
    (path,) = cache.folder.glob("*.layers.json")
    assert str(path) in str(caught.value)
    assert json.loads(path.read_text())["Layers"] == machine.layers
    assert path in cache.clean()
    assert not list(cache.folder.glob("*.layers.json"))


def test_an_engine_that_disagrees_is_refused_and_not_kept(
    machine: Machine, cache: PlanCache
) -> None:
    machine.swapped_classes = True
    with pytest.raises(EngineError, match="agrees with the reference"):
        compiled(machine, cache)
    assert not plans(cache)


def test_a_refused_engine_is_not_built_again_and_again(machine: Machine, cache: PlanCache) -> None:
    machine.swapped_classes = True
    with pytest.raises(EngineError):
        built(machine, cache)
    machine.calls.clear()
    machine.swapped_classes = False
    says = (
        r"agrees with the reference.*; found on \d{4}-\d\d-\d\d: `rtseg compile .*--rebuild` tries"
    )
    for attempt in (built, compiled):
        with pytest.raises(EngineError, match=says):
            attempt(machine, cache)
    assert machine.calls == []
    compiled(machine, cache, rebuild=True)
    assert built(machine, cache).notes == ()
    assert not list(cache.folder.glob("*.refused"))


def test_cleaning_forgets_a_refusal(machine: Machine, cache: PlanCache) -> None:
    machine.swapped_classes = True
    with pytest.raises(EngineError):
        compiled(machine, cache)
    (path,) = cache.folder.glob("*.refused")
    assert cache.clean() == [path]
    machine.swapped_classes = False
    assert compiled(machine, cache)[1] == "no plan yet"


def test_lack_of_memory_is_no_refusal(machine: Machine, cache: PlanCache) -> None:
    machine.room = False
    with pytest.raises(EngineError, match="execution context"):
        compiled(machine, cache)
    machine.room = True
    assert compiled(machine, cache)[1] == "no plan yet"


def test_build_gives_an_engine_that_says_what_it_is(machine: Machine, cache: PlanCache) -> None:
    engine = built(machine, cache)
    assert (engine.name, engine.precision, engine.device) == ("tensorrt", "f16", "Stand-in")
    assert engine.notes == ("tensorrt: built now (no plan yet)",)
    assert built(machine, cache).notes == ()


def test_a_kept_plan_that_no_longer_loads_is_built_again(
    machine: Machine, cache: PlanCache
) -> None:
    compiled(machine, cache)
    machine.refused_loads = 1
    engine = built(machine, cache)
    assert machine.calls.count("build_serialized_network") == 2
    assert "the kept one cannot be used: " in engine.notes[0]
    assert "Error Code 10" in engine.notes[0]
    assert built(machine, cache).notes == ()


@pytest.mark.parametrize("what", ["room", "enqueues", "loads"])  # nothing of it any more
def test_lack_of_memory_is_no_reason_to_build_again(
    machine: Machine, cache: PlanCache, what: str
) -> None:
    compiled(machine, cache)
    setattr(machine, what, 0)
    machine.says = "[defaultAllocator.cpp::allocate::31] Error Code 1: Cuda Runtime (out of memory)"
    machine.calls.clear()
    with pytest.raises(EngineError, match="out of memory"):
        built(machine, cache)
    assert "build_serialized_network" not in machine.calls


def test_a_folder_that_others_may_write_to_is_an_engine_error(
    machine: Machine, cache: PlanCache
) -> None:
    compiled(machine, cache)
    cache.folder.chmod(0o777)
    with pytest.raises(EngineError, match="others may write"):
        built(machine, cache)
    with pytest.raises(InputError, match="others may write"):
        compiled(machine, cache)


def test_a_device_that_cannot_be_asked_is_an_engine_error(
    machine: Machine, cache: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CudaAPIError(Exception):
        """As numba's."""

    def fails() -> None:
        raise CudaAPIError("[46] CUDA_ERROR_DEVICE_UNAVAILABLE")

    monkeypatch.setattr(sys.modules["numba.cuda"], "get_current_device", fails)
    with pytest.raises(EngineError, match="DEVICE_UNAVAILABLE"):
        built(machine, cache)


def test_a_plan_from_elsewhere_may_tell_no_types(machine: Machine, cache: PlanCache) -> None:
    job = Job("tensorrt", machine.model, SIZE, BuildOptions())
    plan = cache.folder.parent / "their.engine"
    plan.write_bytes(b"plan of trtexec")
    machine.layers = ["a + b", "c"]
    adopt(job, plan, cache, trust=True)
    (entry,) = cache.entries()
    assert entry.facts["f16_proved"] is False
    machine.layers = [layer("c", "CaskConvolution", "Row major linear FP32")]
    with pytest.raises(EngineError, match="1 of 1 convolutions in FP32"):
        adopt(job, plan, cache, trust=True)
    machine.layers = [layer("c", "CaskConvolution", HALF)]
    adopt(job, plan, cache, trust=True)
    (entry,) = cache.entries()
    assert entry.facts["f16_convolutions"] == 1


def built(machine: Machine, cache: PlanCache) -> tensorrt.TensorRtEngine:
    return tensorrt.build(
        machine.model, SIZE, precision="auto", streams=2, threads=None, cache=cache
    )  # fmt: skip


def test_other_precisions_are_refused(machine: Machine, cache: PlanCache) -> None:
    with pytest.raises(EngineError, match=r"'bf16'.*expected auto or f16"):
        tensorrt.build(machine.model, SIZE, precision="bf16", streams=1, threads=None, cache=cache)


def test_an_engine_of_another_shape_is_refused(machine: Machine, cache: PlanCache) -> None:
    compiled(machine, cache)
    machine.size = (192, 96)
    with pytest.raises(EngineError, match=r"\(1, 3, 96, 192\).*expected"):
        built(machine, cache)
