"""Engines, streams and a whole check on numba's simulator, tiny: rows, failures, the file.

Its events tell no time, so no time is looked at. `test_gpu_check_measuring.py` runs this in a
process of its own, as the simulator is chosen when numba is imported.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from threading import Lock, current_thread

import numpy as np
import pytest

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS.parent / "benchmarks"), str(TESTS / "simulated")]

import gpu_document  # noqa: E402
import gpu_engines  # noqa: E402
import gpu_kernels  # noqa: E402
import gpu_stream  # noqa: E402
from gpu_check import Check  # noqa: E402
from gpu_document import problems  # noqa: E402
from gpu_options import options  # noqa: E402
from stand_in import DeviceStandIn, HostStandIn, planes  # noqa: E402

from rtseg.backends import available  # noqa: E402
from rtseg.benchmark.roofline import Rates  # noqa: E402
from rtseg.device.memory import Memory  # noqa: E402
from rtseg.errors import EngineError  # noqa: E402
from rtseg.frame import Frame  # noqa: E402
from rtseg.workers import open_worker  # noqa: E402

SIZE, TARGET, SMALL = (32, 16), (16, 16), (16, 8)


@pytest.fixture(autouse=True)
def no_torch_on_the_gpu(monkeypatch) -> None:
    """Also where there is one: the simulator cannot work beside it."""
    monkeypatch.setattr(available, "torch_gpu_missing", lambda: "there is the simulator")


# End to end


def workers_of(model, seen: list, **options):
    """Makes workers that take turns, as the simulator knows no second thread; they tell `seen`."""
    engine, memory, lock = DeviceStandIn(model.contract, SMALL, **options), Memory(), Lock()

    def make():
        worker = open_worker(model, engine, memory)
        segment = worker.segment

        def segmented(frame, labels):
            with lock:
                answer = segment(frame, labels)
            seen.append((frame.index, current_thread().name))
            return answer

        worker.segment = segmented
        return worker

    return make


@pytest.mark.parametrize("workers", [1, 2])
def test_every_frame_is_segmented_once(model, workers) -> None:
    frames = [Frame(planes(*SMALL, shift), index=shift) for shift in range(3)]
    seen: list = []
    run = gpu_stream.drive(workers_of(model, seen), workers, frames, 5)
    assert len(run.latencies) == 5
    assert run.seconds > 0 and min(run.latencies) > 0
    assert len(seen) == 5 * workers + 5  # each worker is warmed up by as many
    assert {index for index, _ in seen[-5:]} == {0, 1, 2}
    assert len({name for _, name in seen}) == workers
    found = gpu_stream.figures(run, engine_rate=100.0)
    assert found["share_of_engine"] == pytest.approx(found["fps"] / 100, abs=2e-3)


@pytest.mark.parametrize(
    ("options", "says"), [({"fail_at": 3}, "LAUNCH_FAILED"), ({"poison": True}, "not finite")]
)
def test_what_breaks_ends_the_run(model, options, says) -> None:
    frames = [Frame(planes(*SMALL))]
    with pytest.raises(EngineError, match=says):
        gpu_stream.drive(workers_of(model, [], **options), 2, frames, 4)


def test_frames_of_a_ring_are_the_same_on_the_device() -> None:
    host, device = gpu_stream.ring((32, 16), 2)
    for here, there in zip(host, device, strict=True):
        np.testing.assert_array_equal(there.image.planes[0].copy_to_host(), here.image.y)
        np.testing.assert_array_equal(there.image.planes[1].copy_to_host()[..., 1], here.image.v)
        assert there.image.matrix == here.image.matrix
    assert not np.array_equal(host[0].image.y, host[1].image.y)


def test_rows_of_a_segmenter_are_those_of_the_document(model, monkeypatch) -> None:
    built = []

    def stand_in(model, size, **_):
        built.append(DeviceStandIn(model.contract, size))
        return built[-1]

    monkeypatch.setattr("rtseg.segmenter.build_engine", stand_in)
    monkeypatch.setattr(gpu_stream, "DEVICE_STREAMS", 1)
    monkeypatch.setattr(gpu_stream, "in_turns", lambda *_, **__: {"": [0.5, 1.5]})
    monkeypatch.setattr(gpu_stream, "SHORT", 1)
    job = gpu_stream.Job((("dilanet-s", SMALL),), SMALL, 2)
    rows = list(gpu_stream.measure(job))
    assert [(row["frames"], row["count"]) for row in rows] == [
        ("resident", 1), ("uploaded", 1), ("resident", 2)
    ]  # fmt: skip
    assert all(row["engine_fps"] == 1000 for row in rows)
    assert rows[1]["device_bytes"] > rows[0]["device_bytes"] > 0  # one more picture
    found = problems({"stream": {"rows": rows}})
    assert not [problem for problem in found if problem.startswith("stream[")]
    assert len(built) == 3


def test_an_engine_on_the_host_is_refused(model, monkeypatch) -> None:
    host = HostStandIn(model.contract, SMALL)
    monkeypatch.setattr("rtseg.segmenter.build_engine", lambda *_, **__: host)
    job = gpu_stream.Job((("dilanet-s", SMALL),), SMALL, 1)
    with pytest.raises(EngineError, match="no engine on the GPU"):
        next(gpu_stream.measure(job))


# Engines


def test_rows_of_engines_are_those_of_the_document(monkeypatch) -> None:
    def build(kind, model, size):
        if kind == "tensorrt":
            raise EngineError("the parser refuses\nand says more")
        engine = DeviceStandIn(model.contract, size)
        engine.notes = ()
        return engine

    monkeypatch.setattr(gpu_engines, "build", build)
    monkeypatch.setattr(gpu_engines, "kinds", lambda *_: ["torch, eager", "tensorrt"])
    failed, left_out = [], []
    job = gpu_engines.Job(("dilanet-s",), ((32, 16),), "none", 1, Rates(1e14, 1e12))
    rows = list(
        gpu_engines.measure(job, lambda *x: left_out.append(x), lambda *x: failed.append(x))
    )
    assert [(row["model"], row["size"], row["engine"]) for row in rows] == [
        ("dilanet-s", [32, 16], "torch, eager")
    ]
    assert rows[0]["count"] == 20 and rows[0]["bound_ms"] > 0
    assert failed == [("engines: dilanet-s 32x16, tensorrt", "EngineError: the parser refuses")]
    assert left_out == []
    found = problems({"engines": {"rows": rows}})
    assert not [problem for problem in found if problem.startswith("engines[")]


def test_a_network_that_cannot_be_exported_here_is_left_out(monkeypatch) -> None:
    monkeypatch.setattr(gpu_engines, "_EXPORT", ("torch", "no_such_exporter"))
    left_out = []
    job = gpu_engines.Job(("enet",), ((32, 16),), "none", 1, None)
    assert list(gpu_engines.measure(job, lambda *x: left_out.append(x), print)) == []
    assert left_out == [("engines: enet", "no_such_exporter is not installed")]


# All of it


def test_a_check_writes_what_it_found(monkeypatch, tmp_path) -> None:
    measure, out = gpu_kernels.measure, tmp_path / "out.json"
    few = {name: gpu_kernels.MAKERS[name] for name in ("preprocess bgr", "blend bgr")}
    monkeypatch.setattr(gpu_kernels, "MAKERS", few)
    monkeypatch.setattr(gpu_kernels, "SIZES", (SIZE,))
    monkeypatch.setattr(gpu_kernels, "TARGET", TARGET)
    monkeypatch.setattr(gpu_kernels, "measure", lambda job: measure(job._replace(footprint=1)))
    rates = {"copy": 4e12, "upload": 5e10}
    monkeypatch.setattr("rtseg.benchmark.device_rates.copy_rates", lambda: rates)
    document = gpu_document.new({"gpu": "none", "pci": "0000:00:00.0"}, {}, None)
    document["failed"].append({"what": "kernels", "why": "of an earlier run"})
    Check(options(["--only", "kernels", "--rounds", "1"]), document, out).run()
    written = json.loads(out.read_text())
    assert problems(written) == [] == written["failed"]
    assert written["kernels"]["rates"] == {"matrix": None, "copy": 4e12, "upload": 5e10}
    assert [row["kernel"] for row in written["kernels"]["rows"]] == list(few)
    assert {"what": "rates: matrix", "why": "no roofline: there is the simulator"} in (
        written["left_out"]
    )
    assert any(mark["measured"] is not None for mark in written["marks"])
    assert gpu_document.exit_code(written, ["kernels"]) == 0
