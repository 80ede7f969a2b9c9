"""Without a GPU TensorRT is never loaded; versions it cannot work with are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rtseg.backends import installed, trt_module
from rtseg.device import driver
from rtseg.errors import EngineError

ROOT = Path(__file__).parents[2]
POISON = "raise SystemExit('tensorrt was imported')"
BUILD = """
from rtseg.backends import tensorrt
from rtseg.errors import EngineError
from rtseg.model import Model
try:
    tensorrt.build(Model.load("dilanet-s"), (96, 64), precision="f16", streams=1, threads=None)
except EngineError as exc:
    print(exc)
import sys
assert not {"torch", "numba.cuda"} & set(sys.modules)
"""


@pytest.mark.skipif(driver.missing() is None, reason="there is a GPU")
def test_the_driver_is_asked_before_tensorrt_is_imported(tmp_path: Path) -> None:
    (tmp_path / "tensorrt.py").write_text(POISON)
    done = subprocess.run(
        [sys.executable, "-c", BUILD],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("TensorRT cannot run here: no")


def test_a_missing_module_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.10: not found')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    monkeypatch.setattr(driver, "missing", lambda: None)
    with pytest.raises(EngineError, match=r"libnvinfer\.so\.10.*pip install") as caught:
        trt_module.load_module()
    assert isinstance(caught.value.__cause__, ImportError)


def test_a_driver_that_is_too_old_is_asked_before_tensorrt_is_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tensorrt.py").write_text(POISON)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    monkeypatch.setattr(driver, "missing", lambda: None)
    monkeypatch.setattr(driver, "cuda_version", lambda: 12040)
    monkeypatch.setattr(
        installed, "version", lambda *names: "11.4" if "tensorrt-cu13-libs" in names else None
    )
    with pytest.raises(EngineError, match=r"cannot run here: TensorRT is installed for CUDA 13"):
        trt_module.load_module()


class Libcuda:
    """The driver's library, as far as it is asked for its version."""

    def __init__(self, code: int) -> None:
        self.code = code

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version._obj.value = 12040
        return self.code


def test_the_driver_is_asked_for_its_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver.ctypes, "CDLL", lambda _: Libcuda(0))
    assert driver.cuda_version() == 12040
    monkeypatch.setattr(driver.ctypes, "CDLL", lambda _: Libcuda(999))
    assert driver.cuda_version() == 0
    monkeypatch.undo()
    monkeypatch.setattr(driver, "_LIBRARY", "libnothing.so")
    assert driver.cuda_version() == 0


@pytest.mark.parametrize("version", ["10.12.0.36", "10.16.1.11", "11.0.0.114", "11.4.0.106"])
def test_versions_that_work(version: str) -> None:
    trt_module.check_version(version)


@pytest.mark.parametrize("version", ["8.6.1", "10.9.0.34", "10.11.0.33", "12.0.0.1", "unknown"])
def test_versions_that_do_not(version: str) -> None:
    with pytest.raises(EngineError, match=rf"{version} is installed; expected 10\.12 to 11; pip"):
        trt_module.check_version(version)
