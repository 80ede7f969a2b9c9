"""`rtseg bench`: what it measures, writes, compares and refuses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from made_camvid import small_camvid
from PIL import Image

from rtseg.cli import bench_sweep

TINY = ("--model", "dilanet-s", "--size", "64x48", "--precision", "f32", "--warm-up", "2")


@dataclass
class SimpleJob:
    """As much of a job as a sweep looks at."""

    engine: dict[str, Any]


def test_every_scenario_is_measured_and_written(rtseg, clip, tmp_path) -> None:
    done = rtseg("bench", clip, *TINY, "--frames", 6, "--rounds", 2, "--json", "b.json")
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "b.json").read_text())
    assert set(found["scenarios"]) == {"single-stream", "offline", "constant-stream"}
    for name, scenario in found["scenarios"].items():
        assert f"{name}, {scenario['streams']} at a time" in done.out
        assert len(scenario["rounds"]) == 2
        for one in scenario["rounds"]:
            assert one["frames"] == one["done"] + one["dropped"] == 6
            assert one["stages_ms"]["inference"]["p99"] > 0
    offline = found["scenarios"]["offline"]["rounds"][0]["stages_ms"]
    assert {"decode", "overlay", "write"} <= offline.keys()
    assert found["scenarios"]["single-stream"]["streams"] == 1
    assert found["engine"] | {"model": "dilanet-s", "input": [64, 48]} == found["engine"]
    assert len(found["engine"]["sha256"]) == 64
    assert found["memory"]["peak_host_bytes"] > 1e7
    network, inference = found["network"], single_stream(found)["inference"]["median"]
    assert network["inference_ms"] == inference
    assert network["share_of_roofline"] == pytest.approx(network["bound_ms"] / inference, rel=1e-2)
    assert "of the roofline reached" in done.out
    assert found["accuracy"] is None
    assert {p.name for p in tmp_path.iterdir()} == {"b.json"}  # the video is not left behind


def single_stream(found: dict) -> dict:
    """Stages of the round with the median rate, of two the lower."""
    rounds = found["scenarios"]["single-stream"]["rounds"]
    return min(rounds, key=lambda r: r["fps"])["stages_ms"]


def test_labels_alone_and_one_scenario(rtseg) -> None:
    source = "synthetic:64x64@30"
    options = ("--frames", 4, "--rounds", 1, "--no-overlay", "--scenario", "offline")
    done = rtseg("bench", source, *TINY, *options)
    assert done.code == 0, done.err
    assert "labels" in done.out
    assert "overlay" not in done.out
    assert "single-stream" not in done.out
    assert "GFLOP" in done.out
    assert "of the roofline" not in done.out  # nobody has had the device to himself


def test_accuracy_says_what_the_model_has_seen(rtseg, tmp_path) -> None:
    data = small_camvid(tmp_path / "camvid")
    options = ("--frames", 2, "--rounds", 1, "--no-overlay", "--scenario", "offline")
    source = "synthetic:64x64@30"
    seen = rtseg("bench", source, *TINY, *options, "--data", data, "--split", "val")
    assert "CamVid val: mIoU" in seen.out
    assert "the model was trained on them" in " ".join(seen.out.split())
    fresh = rtseg("bench", source, *TINY, *options, "--data", data, "--json", "b.json")
    assert fresh.code == 0, fresh.err
    assert "trained on them" not in fresh.out
    accuracy = json.loads((tmp_path / "b.json").read_text())["accuracy"]
    assert (accuracy["split"], accuracy["trained_on_split"]) == ("test", False)


def test_the_gate_fails_what_is_too_slow(rtseg) -> None:
    options = ("--frames", 4, "--rounds", 1, "--no-overlay", "--scenario", "offline")
    slow = rtseg("bench", "synthetic:64x64@30", *TINY, *options, "--fail-below", 1e6)
    assert slow.code == 1
    assert "below 1e+06" in slow.out
    assert rtseg("bench", "synthetic:64x64@30", *TINY, *options, "--fail-below", 0.001).code == 0


def test_two_results_are_compared(rtseg) -> None:
    options = ("--frames", 4, "--rounds", 2, "--no-overlay", "--scenario", "offline")
    for name, frames in (("a.json", 4), ("b.json", 5)):
        rtseg("bench", "synthetic:64x64@30", *TINY, *options, "--frames", frames, "--json", name)
    done = rtseg("bench", "--compare", "a.json", "b.json")
    assert done.code == 0, done.err
    assert "offline" in done.out
    assert "not the same: settings frames: 4 and 5" in done.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--scenario", "server"), "scenario 'server'; expected single-stream"),
        (("--json", "no/b.json"), "no is no folder"),
        (("--rate", "0"), "a rate of 0 frames a second"),
        (("--rate", "inf"), "a rate of inf frames a second"),
        (("--fail-below", "nan"), "--fail-below nan; expected a rate above 0"),
        (("--sweep", "colour=red"), "expected KEY=A,B with one of model, size"),
        (("--sweep", "size=big"), "size 'big'; expected WIDTHxHEIGHT"),
        (("--sweep", "size=64x48", "--fail-below", "1"), "--sweep goes with neither"),
        (("--sweep", "size=64x48,65x48"), "65x48"),  # before the first is measured
        (("--sweep", "model=dilanet-s,nosuch"), "nosuch"),
        (("--png", "p.png"), "--png plots accuracy over latency"),
        (("nothing.mp4",), "nothing.mp4"),
        (("--compare", "a.json", "b.json"), "a.json is no result of rtseg bench"),
        (("--fail-below", "1", "--scenario", "single-stream"), "--fail-below is about offline"),
    ],
)
def test_bad_input_is_one_sentence(rtseg, arguments, says) -> None:
    done = rtseg("bench", *arguments, *TINY)
    assert done.code == 2
    assert says in done.err
    assert done.err.count("\n") == 1


def test_a_result_is_not_overwritten(rtseg, tmp_path) -> None:
    (tmp_path / "b.json").write_text("mine")
    done = rtseg("bench", "synthetic:64x64@30", *TINY, "--json", "b.json")
    assert done.code == 2
    assert (tmp_path / "b.json").read_text() == "mine"


def test_a_sweep_measures_all_combinations(rtseg, tmp_path) -> None:
    options = ("--frames", 4, "--rounds", 1, "--no-overlay", "--warm-up", 1)
    variants = ("--sweep", "model=dilanet-s,dilanet-m", "--sweep", "precision=f32,f16")
    done = rtseg(
        "bench", "synthetic:64x64@30", "--backend", "openvino", *options, *variants,
        "--json", "s.json",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "s.json").read_text())
    engines = [(d["engine"]["model"], d["engine"]["precision"]) for d in found["sweep"]]
    assert engines == [("dilanet-s", "f32"), ("dilanet-m", "f32")]
    assert [item["engine"].split()[-1] for item in found["left_out"]] == ["f16", "f16"]
    assert done.out.count("left out:") == 2
    assert "offline fps" in done.out


def test_a_sweep_that_is_interrupted_keeps_what_it_has(tmp_path, monkeypatch) -> None:
    made = []

    def measured(job, *_):
        if made:
            raise KeyboardInterrupt
        made.append(job)
        return {"engine": {"model": "m", "input": [1, 2], "backend": "b", "precision": "p"}}

    monkeypatch.setattr(bench_sweep, "measure", measured)
    job = SimpleJob({"model": "dilanet-s", "size": None, "backend": "auto", "precision": "auto"})
    out = tmp_path / "s.json"
    with pytest.raises(KeyboardInterrupt):
        bench_sweep.run(job, (), {}, (None, ""), {"precision": ["f32", "bf16"]}, out, None)
    assert len(json.loads(out.read_text())["sweep"]) == 1


def test_a_sweep_is_plotted(rtseg, tmp_path) -> None:
    data = small_camvid(tmp_path / "camvid")
    options = ("--frames", 4, "--rounds", 1, "--no-overlay", "--warm-up", 1)
    done = rtseg(
        "bench", "synthetic:64x64@30", *options, "--scenario", "single-stream", "--data",
        data, "--sweep", "model=dilanet-s,dilanet-m", "--size", "64x48", "--png", "p.png",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "mIoU %" in done.out
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.width > picture.height > 300
