"""torch-TensorRT: names and signatures of the four releases, versions, and the cache of programs.

No TensorRT runs here. Names are read from the wheels; the order of calls and what is cached are
shown with a stand-in that gives the program back as it came.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
import torch_wheels  # noqa: E402
from torch_gpu import require_gpu  # noqa: E402

from rtseg.backends import available, parity, torch_tensorrt  # noqa: E402
from rtseg.backends.onnx_module import module_of  # noqa: E402
from rtseg.backends.plan_use import CACHED, PlanRefusedError  # noqa: E402
from rtseg.backends.plans import BuildOptions, PlanCache, PlanKey, model_sha256  # noqa: E402
from rtseg.backends.torch_pairs import PAIRS, mismatch  # noqa: E402
from rtseg.errors import EngineError  # noqa: E402
from rtseg.model import Model  # noqa: E402

SIZE = (64, 48)
VERSIONS = [pair.torch_tensorrt for pair in PAIRS]


# The releases


@pytest.mark.parametrize("version", VERSIONS)
def test_every_setting_is_one_of_the_compiler_s(version: str) -> None:
    """It takes any other keyword as well, and ignores it."""
    tree = torch_wheels.source(version, "dynamo/_compiler.py")
    positional, keywords = torch_wheels.parameters(tree, "compile")
    assert positional[0] == "exported_program"
    assert "arg_inputs" in keywords
    assert torch_tensorrt.settings(BuildOptions(), Path("t")).keys() <= keywords


@pytest.mark.parametrize("version", VERSIONS)
def test_programs_are_saved_and_loaded_as_we_do(version: str) -> None:
    tree = torch_wheels.source(version, "_compile.py")
    positional, keywords = torch_wheels.parameters(tree, "save")
    assert positional == ["module", "file_path"]
    assert {"output_format", "arg_inputs"} <= keywords
    assert torch_wheels.parameters(tree, "load")[0][0] == "file_path"
    imported = torch_wheels.names_imported(torch_wheels.source(version, "__init__.py"))
    assert "torch_tensorrt._compile.*" in imported
    assert "torch_tensorrt._version.__version__" in imported
    assert "torch_tensorrt.dynamo" in {name.removesuffix(".*") for name in imported}


@pytest.mark.parametrize("version", VERSIONS)
def test_types_are_those_of_the_module(version: str) -> None:
    """FP16 weights stay FP16: by an option that is on, or because there is nothing else."""
    values = torch_wheels.constants(torch_wheels.source(version, "dynamo/_defaults.py"))
    assert values.get("USE_EXPLICIT_TYPING", True) is True
    assert values["CACHE_BUILT_ENGINES"] is False
    assert values["REUSE_CACHED_ENGINES"] is False


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.torch_tensorrt)
def test_the_pairs_are_what_the_wheels_ask_for(pair) -> None:
    text = torch_wheels.metadata(pair.torch_tensorrt)
    wanted = dict(re.findall(r"^Requires-Dist: ([\w-]+)[^\n]*>=(\d+\.\d+)", text, re.MULTILINE))
    assert wanted["torch"] == pair.torch
    assert wanted["tensorrt-cu13"] == pair.tensorrt


def test_versions_that_do_not_belong_together() -> None:
    assert mismatch("2.13.0", "2.13.1+cu130", "11.0.0.114") is None
    message = mismatch("2.13.0", "2.12.1", "11.0.0.114")
    assert "needs torch 2.13 and tensorrt 11.0, here: torch 2.12.1" in message
    assert 'pip install "torch-tensorrt==2.12.1"' in message  # what fits that torch
    assert "here: no tensorrt" in mismatch("2.13.0", "2.13.0", None)
    assert "not known" in mismatch("2.9.0", "2.13.0", "10.3")
    assert "torch-tensorrt==2.14.0" in mismatch("2.9.0", "2.8.0", "10.3")


def test_nothing_is_loaded_without_a_gpu(monkeypatch) -> None:
    monkeypatch.setattr("rtseg.device.driver.missing", lambda: "no GPU in this test")
    monkeypatch.setattr(torch_tensorrt, "import_module", pytest.fail)
    with pytest.raises(EngineError, match="no GPU in this test"):
        torch_tensorrt.load_library()


def test_other_precisions_are_refused(model: Model) -> None:
    with pytest.raises(EngineError, match=r"torch-TensorRT has no precision 'f32' here; expected"):
        torch_tensorrt.build(model, SIZE, precision="f32", streams=1, threads=None)


# Compiling and the cache, with a stand-in for the library


class Library:
    """Compiles nothing: a program stays what `torch.export` made of it."""

    __version__ = "2.13.0"

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.timing: list[bytes | None] = []
        self.fails: Exception | None = None
        self.dynamo = SimpleNamespace(compile=self.compile)

    def compile(self, program: Any, **settings: Any) -> Any:
        if self.fails:
            raise self.fails
        self.calls.append(settings)
        path = Path(settings["timing_cache_path"])
        self.timing.append(path.read_bytes() if path.exists() else None)
        path.write_bytes(b"measured")
        return program

    def save(self, program: Any, path: str, *, output_format: str, arg_inputs: list[Any]) -> None:
        assert output_format == "exported_program"
        assert [tuple(x.shape) for x in arg_inputs] == [(1, 3, SIZE[1], SIZE[0])]
        torch.export.save(program, path)

    def load(self, path: str) -> Any:
        return torch.export.load(path)


@pytest.fixture
def library(monkeypatch) -> Library:
    """The stand-in in place of the library; what needs a GPU is left out."""
    made = Library()
    monkeypatch.setattr(torch_tensorrt, "load_library", lambda: made)
    monkeypatch.setattr(torch_tensorrt, "_DEVICE", "cpu")
    monkeypatch.setattr(torch_tensorrt, "program_key", key_of)
    monkeypatch.setattr(torch_tensorrt, "checked", lambda *_: {"agreement": 1.0})
    return made


def key_of(library: Library, model: Model, size: Any, options: BuildOptions) -> PlanKey:
    return PlanKey(
        "torch-tensorrt", model_sha256(model.data), size, "f16", library.__version__, "sm_90",
        "a GPU", "13.0", "linux/x86_64", options,
    )  # fmt: skip


@pytest.fixture
def cache(tmp_path) -> PlanCache:
    return PlanCache(tmp_path / "plans")


def test_a_program_is_compiled_once(library: Library, model: Model, cache: PlanCache) -> None:
    options = BuildOptions(workspace_mib=64, level=2)
    program, reason = torch_tensorrt.compile_program(model, SIZE, options, cache=cache)
    assert reason == "no plan yet"
    again = torch_tensorrt.compile_program(model, SIZE, options, cache=cache)
    assert again == (program, CACHED)
    (call,) = library.calls
    assert (call["workspace_size"], call["optimization_level"]) == (64 << 20, 2)
    assert call["require_full_compilation"] is True
    assert "enabled_precisions" not in call
    _, reason = torch_tensorrt.compile_program(model, SIZE, options, cache=cache, rebuild=True)
    assert reason == "asked for"
    assert library.timing == [None, b"measured"]


def test_a_kept_program_does_not_wait_for_the_builds_of_others(
    library: Library, model: Model, cache: PlanCache
) -> None:
    options = BuildOptions()
    program, _ = torch_tensorrt.compile_program(model, SIZE, options, cache=cache)
    second = PlanCache(cache.folder, say=pytest.fail)  # which is told when it waits
    with cache.building(key_of(library, model, SIZE, options)):
        again = torch_tensorrt.compile_program(model, SIZE, options, cache=second)
    assert again == (program, CACHED)


@pytest.mark.parametrize("cuda_graph", [True, False])
def test_it_is_checked_as_it_will_run(model: Model, monkeypatch, cuda_graph: bool) -> None:
    seen = {}

    def engine(*_: Any, **options: Any) -> Any:
        seen.update(options)
        return SimpleNamespace(device_context=lambda: None, close=lambda: None)

    monkeypatch.setattr(torch_tensorrt, "CudaEngine", engine)
    monkeypatch.setattr(parity, "check", lambda *_: parity.Parity(1.0, 4))
    key = key_of(Library(), model, SIZE, BuildOptions(cuda_graph=cuda_graph))
    facts = torch_tensorrt.checked(b"program", model, key)
    assert seen["cuda_graph"] is cuda_graph
    assert (facts["f16_proved"], facts["agreement"]) == (False, 1.0)


def test_weights_that_are_not_f16_are_refused(model: Model, monkeypatch) -> None:
    assert torch_tensorrt.half_module(model, SIZE) is not None
    monkeypatch.setattr(
        torch_tensorrt, "module_of", lambda *_: module_of(model, SIZE, torch.float32)
    )
    with pytest.raises(EngineError, match=r"dilanet-m.onnx has \d+ of \d+ weights that are not"):
        torch_tensorrt.half_module(model, SIZE)


def test_the_module_that_is_compiled_is_f16(library: Library, model: Model, cache) -> None:
    program, _ = torch_tensorrt.compile_program(model, SIZE, BuildOptions(), cache=cache)
    assert {str(x.dtype) for x in library.calls[0]["arg_inputs"]} == {"torch.float16"}
    image = torch.rand(1, 3, SIZE[1], SIZE[0]).half()
    with torch.inference_mode():
        loaded = torch_tensorrt.load_program(program)(image)
        torch.testing.assert_close(loaded, module_of(model, SIZE, torch.float16)(image))


def test_an_output_may_come_in_a_tuple(library: Library, monkeypatch) -> None:
    image = torch.rand(1, 3, 4, 4)
    for wrapped in (lambda x: x, lambda x: (x,), lambda x: [x]):
        program = SimpleNamespace(module=lambda wrapped=wrapped: wrapped)
        monkeypatch.setattr(library, "load", lambda _, program=program: program)
        assert torch.equal(torch_tensorrt.load_program(b"")(image), image)


def test_a_failed_compilation_leaves_nothing(library: Library, model: Model, cache) -> None:
    library.fails = AssertionError("no converter for aten.frob\nwith a long trace")
    with pytest.raises(EngineError, match=r"cannot compile dilanet-m.onnx at 64x48: no converter"):
        torch_tensorrt.compile_program(model, SIZE, BuildOptions(), cache=cache)
    assert cache.entries() == []


def test_a_program_that_disagrees_is_not_kept(
    library: Library, model: Model, cache: PlanCache, monkeypatch
) -> None:
    def disagrees(*_: Any) -> dict[str, object]:
        raise EngineError("the engine agrees on 80 % of the pixels")

    monkeypatch.setattr(torch_tensorrt, "checked", disagrees)
    with pytest.raises(EngineError, match="80 %"):
        torch_tensorrt.compile_program(model, SIZE, BuildOptions(), cache=cache)
    assert cache.entries() == []


def test_a_broken_program_is_an_engine_error(library: Library) -> None:
    with pytest.raises(PlanRefusedError, match="cannot load the program"):
        torch_tensorrt.load_program(b"not a program")


# On a GPU


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore")  # of the library and what it loads
def test_the_whole_way(model: Model, cache: PlanCache) -> None:
    """Compiled, compared with the reference, cached, loaded; two contexts, a CUDA graph each."""
    require_gpu()
    reason = available.missing("torch-tensorrt")
    if reason:
        pytest.skip(f"torch-TensorRT is not here: {reason}")
    options: dict[str, Any] = {"precision": "auto", "streams": 2, "threads": None, "cache": cache}
    engine = torch_tensorrt.build(model, (240, 184), **options)
    (entry,) = cache.entries()
    assert entry.facts["agreement"] >= 0.995
    contexts = engine.device_context(), engine.device_context()
    assert [context.graph_refused for context in contexts] == [None, None]
    engine.close()
    again = torch_tensorrt.build(model, (240, 184), **options)
    assert again.notes == ()
    again.close()
