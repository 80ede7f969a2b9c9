"""CUDA graphs: the real binding's names, and our order of calls on the stand-in's driver."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from trt_machine import Machine, Stream

from rtseg.device.graph import Graph, driver_call
from rtseg.errors import EngineError
from rtseg.model import Model

PACKAGE = Path(__file__).parents[2] / "rtseg"

CALLS = {
    "cuStreamBeginCapture": ["hStream", "mode"],
    "cuStreamEndCapture": ["hStream"],
    "cuGraphInstantiate": ["hGraph", "flags"],
    "cuGraphLaunch": ["hGraphExec", "hStream"],
    "cuGraphDestroy": ["hGraph"],
    "cuGraphExecDestroy": ["hGraphExec"],
    "cuEventRecordWithFlags": ["hEvent", "hStream", "flags"],
    "cuStreamCreate": ["Flags"],
    "cuStreamSynchronize": ["hStream"],
    "cuStreamDestroy": ["hStream"],
    "cuDriverGetVersion": [],
    "cuDeviceGetCount": [],
    "cuDeviceGet": ["ordinal"],
    "cuDeviceGetName": ["length", "dev"],
    "cuDeviceGetAttribute": ["attrib", "dev"],
    "cuDeviceTotalMem": ["dev"],
    "cuGetErrorString": ["error"],
}
"""What is called anywhere in the package, and the parameters that it is given."""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(Model.load("dilanet-s"), (96, 64))
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", made.modules()["cuda.bindings.driver"])
    return made


@pytest.mark.parametrize("name", CALLS)
def test_the_real_binding_has_these_functions(name: str) -> None:
    driver: Any = pytest.importorskip("cuda.bindings.driver")
    signature = getattr(driver, name).__doc__.splitlines()[0]
    found = re.fullmatch(rf"{name}\((.*)\)", signature)
    assert found, signature
    parameters = [p.split(":")[0].split()[-1] for p in found[1].split(",") if p]
    assert parameters == CALLS[name]


def test_the_real_binding_has_these_constants() -> None:
    driver: Any = pytest.importorskip("cuda.bindings.driver")
    assert driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL.value == 1
    assert driver.CUstream_flags.CU_STREAM_NON_BLOCKING.value == 1
    assert driver.CUevent_record_flags.CU_EVENT_RECORD_EXTERNAL.value == 1
    assert driver.CUresult.CUDA_SUCCESS == 0
    assert int(driver.CUstream(5)) == int(driver.CUevent(5)) == 5


def test_without_a_driver_it_is_an_engine_error() -> None:
    from rtseg.device import driver

    if driver.missing() is None:
        pytest.skip("there is a GPU")
    with pytest.raises(EngineError, match="cuDriverGetVersion of the CUDA driver"):
        driver_call("cuDriverGetVersion")


def test_what_is_recorded_runs_at_each_launch(machine: Machine) -> None:
    ran: list[int] = []

    def enqueue() -> None:
        assert machine.capturing is not None
        machine.capturing.append(lambda: ran.append(1))

    graph = Graph.capture(Stream(7), enqueue)
    assert ran == []
    graph.launch()
    graph.launch()
    assert ran == [1, 1]
    graph.close()
    graph.close()
    assert machine.calls == [
        "cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiate", "cuGraphDestroy",
        "cuGraphLaunch", "cuGraphLaunch", "cuGraphExecDestroy",
    ]  # fmt: skip


def test_a_forgotten_graph_is_freed(machine: Machine) -> None:
    graph = Graph.capture(Stream(7), lambda: None)
    del graph
    assert machine.calls[-1] == "cuGraphExecDestroy"


def test_an_error_while_recording_ends_the_recording(machine: Machine) -> None:
    error = ValueError("the caller's own")

    def enqueue() -> None:
        raise error

    with pytest.raises(ValueError, match="the caller's own"):
        Graph.capture(Stream(7), enqueue)
    assert machine.capturing is None
    assert machine.calls == ["cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphDestroy"]


def test_a_refused_instantiation_frees_the_recording(machine: Machine) -> None:
    machine.capture_refused = "cuGraphInstantiate"
    with pytest.raises(EngineError, match=r"cuGraphInstantiate.*UNSUPPORTED"):
        Graph.capture(Stream(7), lambda: None)
    assert machine.calls[-1] == "cuGraphDestroy"


def test_every_call_of_the_package_is_in_the_table() -> None:
    text = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    called = set(re.findall(r"(?:driver_call|_drop)\(\s*[\"'](\w+)", text))
    assert called | {"cuGetErrorString"} == set(CALLS)
