"""The other commands."""

from __future__ import annotations

import re

import av
import pytest

from rtseg import __version__
from rtseg.model import Model, list_models


def test_version_and_help(rtseg) -> None:
    assert rtseg("--version").out.strip() == f"rtseg {__version__}"
    help_text = rtseg("--help").out
    for name in ("run", "demo", "models", "doctor", "eval", "train", "export", "networks", "data"):
        assert name in help_text
    assert rtseg("run", "--help").code == 0


def test_usage_errors_are_code_2(rtseg) -> None:
    assert rtseg("run").code == 2
    assert rtseg("segment").code == 2
    assert rtseg("run", "x.mp4", "--nonsense").code == 2


def test_models_lists_what_is_shipped(rtseg) -> None:
    out = rtseg("models").out
    for name in list_models():
        assert name in out
        assert f"{100 * Model.load(name).contract.measured.miou:.1f}" in out


def test_doctor_says_what_runs_and_why_not(rtseg) -> None:
    done = rtseg("doctor")
    assert done.code == 0
    assert re.search(r"openvino\s+yes, on the CPU, (f32|bf16)", done.out)
    assert re.search(r"tensorrt\s+no: ", done.out)
    assert "libx264" in done.out
    assert __version__ in done.out


def test_demo_writes_a_video_and_measures(rtseg, tmp_path) -> None:
    done = rtseg("demo", "--frames", 12, "--size", "480x360", "-o", "demo.mp4")
    assert done.code == 0, done.err
    miou = float(re.search(r"mIoU ([\d.]+) %", done.out)[1])
    assert miou > 35
    assert "12 frames in = 12 written + 0 dropped + 0 failed" in done.out
    assert re.search(r"[\d.]+ fps", done.out)
    with av.open(str(tmp_path / "demo.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert sum(1 for _ in container.decode(video=0)) == 12


@pytest.mark.parametrize(
    ("args", "says"),
    [(("--model", "resnet"), "no model"), (("-o", "x.avi"), "expected .mp4"),
     (("--size", "huge"), "WIDTHxHEIGHT"), (("-o", "old.mp4"), "exists already")],
)  # fmt: skip
def test_demo_refuses_before_it_renders(rtseg, tmp_path, args, says) -> None:
    (tmp_path / "old.mp4").write_text("precious")
    done = rtseg("demo", *args)
    assert done.code == 2
    assert says in done.err
    assert "rendering" not in done.err
    assert (tmp_path / "old.mp4").read_text() == "precious"


def test_train_refuses(rtseg) -> None:
    pytest.importorskip("torch")
    done = rtseg("train", "nothing", "--data", ".")
    assert done.code == 2
    assert "no recipe 'nothing'" in done.err
    done = rtseg("train", "dilanet-m", "--data", ".")
    assert done.code == 2
    assert "is not CamVid" in done.err


def test_export_refuses(rtseg, tmp_path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "w.safetensors").write_bytes(b"no")
    done = rtseg("export", "w.safetensors")
    assert done.code == 2
    assert "cannot read the weights" in done.err
    assert not (tmp_path / "w.onnx").exists()
    weights = Model.load("dilanet-s").path.with_suffix(".safetensors")
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(weights.read_bytes())
    done = rtseg("export", copy, "-o", copy, "-y")
    assert done.code == 2
    assert "input itself" in done.err
    assert copy.read_bytes() == weights.read_bytes()
    assert rtseg("export", weights, "-o", "none/m.onnx").code == 2
    done = rtseg("export", weights, "-o", "m.onnx", "--name", "my model")
    assert done.code == 2
    assert "my model" in done.err
