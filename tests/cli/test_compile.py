"""`rtseg compile`: the cache's list and its cleaning, what is refused, and what is shown.

No GPU is needed: where a plan is built, the builder's place is taken by one that keeps some bytes
in the real cache. That TensorRT builds them is tested elsewhere.
"""

from __future__ import annotations

import io
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from rtseg.backends import available, compiling, tensorrt, trt_module
from rtseg.backends.plan_use import kept_or_built
from rtseg.backends.plans import BuildOptions, PlanCache, PlanKey, model_sha256
from rtseg.cli.building import BuildBars
from rtseg.device import driver
from rtseg.errors import EngineError
from rtseg.model import Model

RECIPE = 'model = "dilanet-s"\nsize = [480, 360]\n'
DEVICE = "NVIDIA H100 80GB HBM3"


@pytest.fixture
def cache(tmp_path, monkeypatch) -> PlanCache:
    monkeypatch.setenv("RTSEG_PLANS", str(tmp_path / "plans"))
    return PlanCache()


@pytest.fixture
def recipe(tmp_path) -> Path:
    path = tmp_path / "engine.toml"
    path.write_text(RECIPE)
    return path


def key_for(model: Model, size: tuple[int, int], options: BuildOptions) -> PlanKey:
    return PlanKey(
        kind="tensorrt", model_sha256=model_sha256(model.data), size=size, precision="f16",
        library="10.16.1", capability="sm_90", device=DEVICE, cuda="13.0", system="linux/x86_64",
        options=options,
    )  # fmt: skip


@pytest.fixture
def key() -> PlanKey:
    return key_for(Model.load("dilanet-s"), (480, 360), BuildOptions())


@pytest.fixture
def builder(monkeypatch) -> list[bool]:
    """A machine that can build: `compile_plan` keeps bytes; its `rebuild` of each call."""
    calls = []

    def compile_plan(model, size, options, *, cache, progress=None, rebuild=False):
        calls.append(rebuild)
        key = key_for(model, size, options)

        def build() -> bytes:
            progress("Building engine", 1, 1)
            facts = {"agreement": 0.99934, "frames": 4, "f16_convolutions": 41}
            cache.put(key, b"plan" * 500_000, {"build_seconds": 41.3, **facts})
            return b"plan"

        return kept_or_built(cache, key, build, rebuild=rebuild)

    monkeypatch.setattr(available, "missing", lambda _: None)
    monkeypatch.setattr(trt_module, "load_module", lambda: None)
    monkeypatch.setattr(tensorrt, "plan_key", lambda _, *args: key_for(*args))
    monkeypatch.setattr(tensorrt, "compile_plan", compile_plan)
    return calls


def test_an_engine_is_built_and_kept(rtseg, cache, recipe, builder, key) -> None:
    done = rtseg("compile", recipe)
    assert done.code == 0, done.err
    assert done.err == "note: tensorrt: building for 480x360, minutes; no plan yet\n"
    lines = done.out.splitlines()
    assert lines[0] == f"dilanet-s 480x360  TensorRT 10.16.1 f16 on {DEVICE}"
    assert lines[1] == "compiled now: no plan yet"
    assert "99.93 % of the pixels of 4 frames" in lines[2]
    assert "41 convolutions, all FP16" in lines[3]
    assert "41 s" in lines[4]
    assert lines[5] == f"{cache.path(key)}, 2.0 MB"
    assert lines[6:] == [f"use it: rtseg run VIDEO --engine {recipe}"]


def test_the_second_time_it_is_there(rtseg, cache, recipe, builder) -> None:
    rtseg("compile", recipe)
    done = rtseg("compile", recipe)
    assert "in the cache already" in done.out
    assert done.err == ""  # nothing takes minutes
    assert "compiled now: asked for" in rtseg("compile", recipe, "--rebuild").out
    assert builder == [False, False, True]


def test_why_it_is_built_again_is_said(rtseg, cache, recipe, builder, key) -> None:
    cache.put(replace(key, library="10.15.1"), b"old", {})
    done = rtseg("compile", recipe)
    assert "compiled now: built by TensorRT 10.15.1, here is 10.16.1" in done.out


def test_an_engine_that_cannot_be_kept(rtseg, recipe, builder, monkeypatch) -> None:
    monkeypatch.setenv("RTSEG_PLANS", str(recipe / "plans"))
    done = rtseg("compile", recipe)
    assert done.code == 1
    assert "note: the plan is not kept" in done.err
    assert "Not a directory" in done.err
    assert "error: the engine was built and is good, but cannot be kept" in done.err


def test_a_plan_from_elsewhere(rtseg, cache, recipe, builder, key, monkeypatch) -> None:
    Path("theirs.engine").write_bytes(b"theirs")
    done = rtseg("compile", recipe, "--from", "theirs.engine")
    assert done.code == 2
    assert "runs native code" in done.err
    assert cache.entries() == []
    facts = {"agreement": 0.998, "f16_proved": False}
    monkeypatch.setattr(compiling, "_checked", lambda *_: facts)
    done = rtseg("compile", recipe, "--from", "theirs.engine", "--trust")
    assert done.code == 0, done.err
    assert "taken over from theirs.engine, on your word" in done.out
    assert "not proved to be FP16" in done.out
    assert cache.get(key).data == b"theirs"
    assert builder == []
    listed = rtseg("compile", "--list").out
    assert "trusted" in listed
    assert "theirs.engine" in listed


def test_a_plan_from_elsewhere_that_does_not_fit(
    rtseg, cache, recipe, builder, monkeypatch
) -> None:
    def checked(*_):
        raise EngineError("TensorRT cannot load the plan: wrong GPU")

    Path("theirs.engine").write_bytes(b"theirs")
    monkeypatch.setattr(compiling, "_checked", checked)
    done = rtseg("compile", recipe, "--from", "theirs.engine", "--trust")
    assert done.code == 1
    assert "wrong GPU" in done.err
    assert cache.entries() == []


def test_the_empty_cache_says_so(rtseg, cache) -> None:
    done = rtseg("compile", "--list")
    assert done.code == 0
    assert done.out == f"no plans in {cache.folder}; `rtseg compile RECIPE.toml` builds one\n"
    assert (
        rtseg("compile", "--clean").out
        == f"nothing removed from {cache.folder}; 0 usable plans left\n"
    )
    assert not cache.folder.exists()


def test_the_list_shows_plans_and_what_is_wrong_with_them(rtseg, cache, key) -> None:
    cache.put(key, b"plan" * 300_000, {"agreement": 0.99934})
    torn = cache.put(replace(key, size=(1024, 512), model_sha256="ab" * 32), b"plan", {})
    torn.write_bytes(b"pl")
    bare = cache.put(replace(key, size=(64, 64)), b"plan", {})
    bare.with_suffix(".json").unlink()
    done = rtseg("compile", "--list")
    assert done.code == 0, done.err
    rows = done.out.splitlines()
    assert rows[0].split() == ["model", "input", "engine", "device", "built", "MB", "agreement"]
    good = next(row for row in rows if row.startswith("dilanet-s "))
    for cell in ("480x360", "TensorRT 10.16.1", DEVICE, "1.2", "99.93 %", "ok"):
        assert cell in good
    assert "unusable" in next(row for row in rows if row.startswith("abababab…"))
    assert any(bare.stem[:12] in row and "without a record" in row for row in rows)
    assert any(torn.stem[:12] in row and "hash does not match" in row for row in rows)
    assert f"3 plans, 1.2 MB, in {cache.folder}" in done.out
    assert "--clean" in rows[-1]


def test_cleaning(rtseg, cache, key) -> None:
    good = cache.put(key, b"plan", {})
    torn = cache.put(replace(key, size=(64, 64)), b"plan", {})
    torn.write_bytes(b"pl")
    done = rtseg("compile", "--clean")
    assert done.code == 0, done.err
    assert f"removed {torn}: the plan's hash does not match" in done.out
    assert f"2 files removed from {cache.folder}; 1 usable plans left" in done.out
    assert good.exists()
    done = rtseg("compile", "--clean", "--all")
    assert f"removed {good}\n" in done.out
    assert cache.entries() == []


def test_without_a_gpu_it_is_one_sentence(rtseg, cache, recipe, monkeypatch) -> None:
    monkeypatch.setattr(driver, "missing", lambda: "no NVIDIA driver (libcuda.so.1)")
    for backend in ("tensorrt", "torch-tensorrt"):
        recipe.write_text(RECIPE + f'backend = "{backend}"\n')
        done = rtseg("compile", recipe)
        assert done.code == 1
        assert f"{backend} cannot run here" in done.err
        assert "no NVIDIA driver" in done.err
        assert len(done.err.splitlines()) == 1
        assert done.out == ""
    assert not cache.folder.exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "expected one of: a recipe"),
        (("engine.toml", "--list"), "expected one of"),
        (("--list", "--clean"), "expected one of"),
        (("engine.toml", "--all"), "--all goes with --clean"),
        (("--list", "--trust"), "go with a recipe"),
        (("--clean", "--rebuild"), "go with a recipe"),
        (("engine.toml", "--trust"), "said of the plan of --from"),
        (("engine.toml", "--from", "x.engine", "--rebuild"), "give one of them"),
        (("none.toml",), "no recipe none.toml"),
        (("odd.toml",), "odd.toml: precision: int8 is not supported yet"),
        (("unknown.toml",), "no model 'resnet'"),
        (("size.toml",), "nearest is 480x360"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(rtseg, cache, recipe, tmp_path, args, says) -> None:
    (tmp_path / "odd.toml").write_text(RECIPE + 'precision = "int8"\n')
    (tmp_path / "unknown.toml").write_text('model = "resnet"\nsize = [480, 360]\n')
    (tmp_path / "size.toml").write_text('model = "dilanet-s"\nsize = [481, 360]\n')
    done = rtseg("compile", *args)
    assert done.code == 2
    assert says in done.err
    assert done.err.startswith("rtseg: error: ")
    assert len(done.err.splitlines()) == 1
    assert not cache.folder.exists()


def test_a_folder_that_others_may_write_to(rtseg, cache, key) -> None:
    cache.put(key, b"plan", {})
    cache.folder.chmod(0o777)
    done = rtseg("compile", "--list")
    assert done.code == 2
    assert "chmod 700" in done.err


def test_the_builders_phases_are_drawn_in_place_of_the_spinner() -> None:
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=100)
    with console.status("compiling") as spinner, BuildBars(console, spinner.stop) as bars:
        bars.tell("Building [engine]", 0, 2)
        inner = threading.Thread(target=lambda: [bars.tell("Tactics", i, 30) for i in range(31)])
        inner.start()
        inner.join()
        bars.say("another process is building")
        bars.tell("Building [engine]", 1, 2)
    text = drawn.getvalue()
    assert "compiling" in text
    assert "Building [engine]" in text
    assert "note:" in text
