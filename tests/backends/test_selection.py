"""Which backend is chosen, why the others are not, and what is not imported on the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rtseg import backends
from rtseg.backends import BACKENDS, available, build_engine, installed
from rtseg.backends.plans import BuildOptions
from rtseg.errors import EngineError, InputError, ModelError
from rtseg.model import Model

SIZE = (64, 48)
INSTALLED = {
    "torch": "2.13.0", "tensorrt": "11.0.0.114", "torch-tensorrt": "2.13.0",
    "openvino": "2026.4.1", "numba-cuda": "0.30.4", "nvidia-cuda-nvrtc": "13.0.88",
}  # fmt: skip


@pytest.fixture
def machine(monkeypatch, tmp_path) -> Callable[..., None]:
    """`machine(gpu=True, torch="2.12.0", tensorrt=None)`: what is installed, whether a driver
    finds a GPU, and the CUDA that it knows. The files of packages are looked for, and never loaded.
    """

    def set_up(
        *, gpu: bool = True, knows: int = 13000, cuda: str = "'13.0'", **versions: str | None
    ) -> None:
        found = INSTALLED | {name.replace("_", "-"): v for name, v in versions.items()}
        (tmp_path / "version.py").write_text(f"__version__ = '0'\ncuda: Optional[str] = {cuda}\n")
        spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])

        def find_spec(module: str) -> Any:
            return spec if found[module.replace("_", "-")] else None

        def version(*names: str) -> str | None:
            return next(filter(None, map(found.get, names)), None)

        monkeypatch.setattr("rtseg.device.driver.cuda_version", lambda: knows if gpu else 0)
        monkeypatch.setattr("rtseg.device.driver.missing", lambda: None if gpu else "no driver")
        monkeypatch.setattr(available, "find_spec", find_spec)
        for module in (available, installed):
            monkeypatch.setattr(module, "version", version)

    return set_up


def test_the_order_of_preference() -> None:
    assert list(BACKENDS) == ["tensorrt", "torch-tensorrt", "torch", "openvino"]
    assert tuple(BACKENDS) == available.PREFERRED
    assert available.PRECISIONS.keys() == BACKENDS.keys()


@pytest.mark.parametrize(
    ("here", "chosen"),
    [
        ({}, "tensorrt"),
        ({"gpu": False}, "openvino"),
        ({"tensorrt": None, "torch_tensorrt": None}, "torch"),
        ({"tensorrt": "10.11.0"}, "torch"),
        ({"tensorrt": "12.0.0"}, "torch"),
        ({"tensorrt": "10.15.1", "torch_tensorrt": "2.11.0", "torch": "2.11.0"}, "tensorrt"),
        ({"tensorrt": None, "torch_tensorrt": None, "cuda": "None"}, "openvino"),
        ({"numba_cuda": None}, "openvino"),
        ({"knows": 12040}, "openvino"),
        ({"knows": 12040, "nvidia_cuda_nvrtc": "12.9.86"}, "tensorrt"),
        ({"knows": 12040, "nvidia_cuda_nvrtc": "12.9.86", "tensorrt_cu13": "11.0.0.114"}, "torch"),
        ({"knows": 12040, "nvidia_cuda_nvrtc": None, "tensorrt_cu12": "11.0.0.114"}, "tensorrt"),
        ({"tensorrt": None, "torch_tensorrt": None, "torch": None}, "openvino"),
    ],
)
def test_auto_takes_the_first_that_can_run(machine, here: dict[str, Any], chosen: str) -> None:
    machine(**here)
    assert available.choose() == chosen


def test_reasons_say_what_is_missing(machine) -> None:
    machine(gpu=False, tensorrt=None, torch_tensorrt=None)
    reasons = available.reasons()
    assert reasons["openvino"] is None
    assert "no driver" in reasons["tensorrt"]
    assert 'pip install "rtseg[tensorrt]"' in reasons["tensorrt"]
    assert "openvino is faster: no driver" in reasons["torch"]
    assert available.missing("torch") is None  # it runs, on the CPU
    machine(torch_tensorrt="2.12.1")
    assert "needs torch 2.12 and tensorrt 10.16" in available.reasons()["torch-tensorrt"]
    machine(cuda="None")
    assert "built without CUDA" in available.reasons()["torch"]
    machine(numba_cuda=None)
    assert 'pip install "rtseg[cuda]"' in available.reasons()["tensorrt"]


def test_a_driver_that_is_too_old_is_told_with_what_to_install(machine) -> None:
    machine(knows=12040, nvidia_cuda_nvrtc="12.9.86", tensorrt_cu13_libs="11.0.0.114")
    says = (
        "TensorRT is installed for CUDA 13, the NVIDIA driver knows CUDA 12.4 at most; install "
        "driver 580 or newer"
    )
    assert says in str(available.missing("tensorrt"))
    assert says in str(available.missing("torch-tensorrt"))
    assert available.torch_gpu_missing() is None
    machine(knows=12040)
    assert "numba-cuda is installed for CUDA 13" in str(available.gpu_missing())
    machine(knows=11080, nvidia_cuda_nvrtc=None, nvidia_cuda_nvrtc_cu12="12.9.86")
    assert "for CUDA 12, the NVIDIA driver knows CUDA 11.8" in str(available.gpu_missing())


def test_bindings_without_libraries_are_no_tensorrt(machine) -> None:
    machine(tensorrt=None, tensorrt_cu13_bindings="11.0.0.114")
    assert 'pip install "rtseg[tensorrt]"' in str(available.missing("tensorrt"))
    assert installed.tensorrt_version() is None
    machine(tensorrt=None, tensorrt_cu13="11.0.0.114")  # its module is gone
    assert "tensorrt is not installed" in str(available.missing("tensorrt"))


def test_a_precision_leaves_those_that_have_it(machine) -> None:
    machine()
    assert available.candidates("f16") == ["tensorrt", "torch-tensorrt", "torch"]
    assert available.candidates("bf16") == ["openvino"]
    assert available.reasons("f32")["tensorrt"] == "it computes in f16"
    machine(gpu=False)
    with pytest.raises(EngineError, match=r"precision 'f16' can run here: tensorrt: no driver;"):
        available.choose("f16")


def test_pick_precision() -> None:
    assert available.pick_precision("auto", ("f16", "f32"), "x") == "f16"
    assert available.pick_precision("f32", ("f16", "f32"), "x") == "f32"
    with pytest.raises(EngineError, match=r"x has no precision 'bf16' here; expected auto or f16$"):
        available.pick_precision("bf16", ("f16",), "x")


# build_engine, with backends that give an engine or fail as told


class Stage:
    """Stand-ins for the backends' modules, and for that of the kernels.

    fails: name → what `build` raises. given: name → what `build` got.
    """

    def __init__(self, fails: dict[str, Exception]) -> None:
        self.fails, self.called = fails, list[str]()
        self.given: dict[str, dict[str, Any]] = {}

    def module(self, path: str) -> SimpleNamespace:
        if path == "rtseg.kernels.cuda":
            return SimpleNamespace(compile_all=self.compile_all)
        (name,) = [name for name, module in BACKENDS.items() if module == path]
        if isinstance(self.fails.get(name), ImportError | OSError):
            raise self.fails[name]

        def build(*_: Any, **options: Any) -> SimpleNamespace:
            self.called.append(name)
            self.given[name] = options
            if name in self.fails:
                raise self.fails[name]
            return SimpleNamespace(name=name, notes=())

        return SimpleNamespace(build=build)

    def compile_all(self) -> None:
        self.called.append("kernels")
        if "kernels" in self.fails:
            raise self.fails["kernels"]


@pytest.fixture
def stage(monkeypatch, machine) -> Callable[..., Stage]:
    def set_up(**fails: Exception) -> Stage:
        machine()
        made = Stage({name.replace("_", "-"): exc for name, exc in fails.items()})
        monkeypatch.setattr(backends, "import_module", made.module)
        return made

    return set_up


def test_the_first_one_is_built(stage, model: Model) -> None:
    made = stage()
    engine = build_engine(model, SIZE)
    assert (engine.name, engine.notes, made.called) == ("tensorrt", (), ["kernels", "tensorrt"])


def test_auto_goes_on_and_says_why(stage, model: Model) -> None:
    made = stage(
        tensorrt=EngineError("out of memory"), torch_tensorrt=ModelError("no such operator")
    )
    engine = build_engine(model, SIZE)
    assert engine.name == "torch"
    assert engine.notes == (
        "tensorrt could not be used: out of memory",
        "torch-tensorrt could not be used: no such operator",
    )
    assert made.called == ["kernels", "tensorrt", "torch-tensorrt", "torch"]


def test_what_is_about_plans_goes_to_those_that_keep_them(stage, model: Model) -> None:
    made = stage(tensorrt=EngineError("a"), torch_tensorrt=EngineError("b"))
    plain = {"precision": "f16", "streams": 2, "threads": 3}
    plans = {"options": BuildOptions(level=5), "progress": print, "say": repr}
    build_engine(model, SIZE, **plain, **plans)
    assert made.given == {"tensorrt": plain | plans, "torch-tensorrt": plain | plans,
                          "torch": plain}  # fmt: skip


@pytest.mark.parametrize("error", [ImportError("libcudart.so.13"), OSError("libcudart.so.13")])
def test_a_module_that_does_not_load_is_passed_over(stage, model: Model, error: Exception) -> None:
    stage(tensorrt=error)
    engine = build_engine(model, SIZE)
    says = "tensorrt could not be used: tensorrt cannot be loaded: libcudart.so.13"
    assert (engine.name, engine.notes) == ("torch-tensorrt", (says,))


def test_kernels_that_fail_leave_the_processor(stage, model: Model) -> None:
    made = stage(kernels=RuntimeError("NVRTC_ERROR_COMPILATION\n in line 1"))
    engine = build_engine(model, SIZE)
    assert made.called == ["kernels", "openvino"]
    (note,) = engine.notes
    assert note.startswith("no engine on the GPU could be used: the kernels fail there: ")
    assert note.endswith("NVRTC_ERROR_COMPILATION in line 1")
    with pytest.raises(EngineError, match=r"no backend could be used; .*NVRTC"):
        build_engine(model, SIZE, precision="f16")


def test_when_nothing_works_all_reasons_are_given(stage, model: Model) -> None:
    stage(**{name.replace("-", "_"): EngineError(f"{name} broke") for name in BACKENDS})
    with pytest.raises(EngineError) as caught:
        build_engine(model, SIZE)
    assert all(f"{name} broke" in str(caught.value) for name in BACKENDS)


def test_a_bug_is_not_passed_over(stage, model: Model) -> None:
    stage(tensorrt=KeyError("bug"))
    with pytest.raises(KeyError):
        build_engine(model, SIZE)


def test_a_named_backend_is_not_replaced(stage, model: Model) -> None:
    made = stage(tensorrt=EngineError("out of memory"))
    with pytest.raises(EngineError, match=r"^out of memory$"):
        build_engine(model, SIZE, backend="tensorrt")
    assert made.called == ["tensorrt"]  # no other, and no kernels yet
    assert build_engine(model, SIZE, backend="openvino").name == "openvino"


def test_a_named_backend_that_is_not_here(machine, model: Model) -> None:
    machine(gpu=False)
    with pytest.raises(EngineError, match=r"^tensorrt cannot run here: no driver$"):
        build_engine(model, SIZE, backend="tensorrt")
    with pytest.raises(InputError, match=r"unknown backend 'abacus'; expected auto or one of"):
        build_engine(model, SIZE, backend="abacus")


# For real


def test_every_backend_has_its_file() -> None:
    package = Path(backends.__file__).parent
    for module in BACKENDS.values():
        assert (package / f"{module.rpartition('.')[2]}.py").is_file()


def test_choosing_on_a_cpu_imports_neither_torch_nor_numba_cuda() -> None:
    code = """
import sys
import rtseg.device.driver
rtseg.device.driver.missing = lambda: "no GPU in this test"
from rtseg.backends import build_engine
from rtseg.model import Model
engine = build_engine(Model.load("dilanet-s"), (64, 48), precision="f32")
assert engine.name == "openvino", engine.name
loaded = [m for m in ("torch", "tensorrt", "torch_tensorrt", "numba.cuda") if m in sys.modules]
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
