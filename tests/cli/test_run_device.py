"""`rtseg run` and the GPU: what is refused where there is none, with nothing written."""

from __future__ import annotations

import re

import pytest
from drive import FAST, stamps

from rtseg.backends import available, tensorrt
from rtseg.backends.plans import BuildOptions
from rtseg.device import driver
from rtseg.errors import EngineError


def refused() -> list[tuple[tuple[str, ...], str]]:
    """Arguments, and what the message must say."""
    return [
        (("--decoder", "gpu"), "decoder 'gpu'; expected auto, software, nvdec"),
        (("--encoder", "x265"), "encoder 'x265'; expected auto, x264, nvenc"),
        (("--decoder", "nvdec", "--backend", "openvino"), "openvino, runs on the processor"),
        (("--encoder", "nvenc", "--preset", "fast"), "preset 'fast' is for x264"),
    ]


@pytest.mark.parametrize(("args", "says"), refused(), ids=[" ".join(r[0]) for r in refused()])
def test_what_cannot_be_is_one_sentence_and_code_2(rtseg, clip, tmp_path, args, says) -> None:
    done = rtseg("run", clip, *FAST, *args)
    assert done.code == 2
    assert re.search(says, done.err), done.err
    assert not list(tmp_path.iterdir()), "something was written"


@pytest.mark.skipif(driver.missing() is None, reason="for machines without a GPU")
def test_nvenc_without_a_gpu(rtseg, clip, tmp_path) -> None:
    done = rtseg("run", clip, *FAST, "--encoder", "nvenc")
    assert done.code == 2
    assert "NVENC cannot be used: no NVIDIA driver" in done.err
    assert not list(tmp_path.iterdir())


def test_nvdec_is_for_videos(rtseg, tmp_path) -> None:
    args = ("synthetic:96x64@30?frames=2", "--decoder", "nvdec", "--backend", "openvino")
    done = rtseg("run", *args, *FAST)
    assert done.code == 2
    assert "--decoder nvdec is for video files" in done.err


def test_by_name_software_and_x264_are_what_the_processor_does_anyway(rtseg, clip, tmp_path):
    args = ("--decoder", "software", "--encoder", "x264", "--backend", "openvino")
    done = rtseg("run", clip, "-o", "out.mp4", *FAST, *args, "--streams", 1)
    assert done.code == 0, done.err
    assert "note:" not in done.out and "device memory" not in done.out
    assert "x264" in done.out
    assert len(stamps(tmp_path / "out.mp4")) == 24


RECIPE = """
model = "dilanet-s"
size = [160, 96]
backend = "tensorrt"
[options]
level = 5
cuda_graph = false
"""


def test_an_engine_is_run_as_its_recipe_says(rtseg, clip, tmp_path, monkeypatch) -> None:
    """The builder's place is taken by one that shows what it was asked for, and refuses."""
    seen = {}

    def build(model, size, *, progress, say, **given):
        seen.update(given, name=model.contract.name, size=size)
        say("tensorrt: building for 160x96, minutes; no plan yet")
        progress("Building", 0, 1)
        raise EngineError("no GPU in this test")

    monkeypatch.setattr(available, "missing", lambda _: None)
    monkeypatch.setattr(tensorrt, "build", build)
    (tmp_path / "engine.toml").write_text(RECIPE)
    done = rtseg("run", clip, "--engine", "engine.toml", "--streams", 2)
    assert done.code == 1
    assert done.err.splitlines() == [
        "note: tensorrt: building for 160x96, minutes; no plan yet",
        "rtseg: error: no GPU in this test",
    ]
    options = BuildOptions(level=5, cuda_graph=False)
    assert seen == {"name": "dilanet-s", "size": (160, 96), "options": options, "threads": None,
                    "precision": "auto", "streams": 2}  # fmt: skip
    assert rtseg("run", clip, "--engine", "engine.toml", "--quiet").err.count("\n") == 1


@pytest.mark.parametrize(
    "args", [("--model", "dilanet-m"), ("-m", "dilanet-s"), FAST, ("--backend", "auto")]
)
def test_a_recipe_and_what_it_says_already(rtseg, clip, tmp_path, args) -> None:
    (tmp_path / "engine.toml").write_text(RECIPE)
    done = rtseg("run", clip, "--engine", "engine.toml", *args)
    assert done.code == 2
    name = {"-m": "--model"}.get(args[0], args[0])
    assert done.err == f"rtseg: error: --engine says model, size and backend; leave {name} out\n"


def test_a_recipe_that_is_none(rtseg, clip, tmp_path) -> None:
    done = rtseg("run", clip, "--engine", "none.toml")
    assert done.code == 2
    assert "no recipe none.toml" in done.err
    assert not list(tmp_path.iterdir())
