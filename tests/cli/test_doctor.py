"""`rtseg doctor` on machines of several kinds."""

from __future__ import annotations

import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from rtseg.backends import BACKENDS, available, installed
from rtseg.backends.torch_pairs import PAIRS
from rtseg.cli import doctor
from rtseg.errors import EngineError


@pytest.fixture
def no_gpu(monkeypatch) -> None:
    monkeypatch.setattr("rtseg.device.driver.missing", lambda: "no NVIDIA driver")


def says(pattern: str, text: str) -> bool:
    """Whether a line starts so."""
    return re.search(f"^{pattern}", text, re.MULTILINE) is not None


def test_each_backend_has_its_reason(rtseg, no_gpu) -> None:
    done = rtseg("doctor")
    assert done.code == 0
    assert says(r"NVIDIA GPU\s+no NVIDIA driver", done.out)
    assert says(r"tensorrt\s+no: no NVIDIA driver", done.out)
    assert says(r"torch-tensorrt\s+no: no NVIDIA driver", done.out)
    assert says(r"openvino\s+yes, on the CPU, (f32|bf16)", done.out)
    assert says(r"auto\s+openvino: tensorrt, torch-tensorrt, torch cannot run on a GPU", done.out)
    order = re.findall(
        rf"^({'|'.join(BACKENDS)})\s+(?:yes|no|should run)\b", done.out, re.MULTILINE
    )
    assert order == list(BACKENDS)


def test_torch_on_the_cpu_is_passed_over(rtseg, no_gpu) -> None:
    pytest.importorskip("torch")
    out = rtseg("doctor").out
    assert says(r"torch\s+should run on the CPU \(not loaded\), f32 or bf16; auto passes it", out)


def test_it_fits_a_terminal_of_80_columns(rtseg, no_gpu, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = rtseg("doctor").out.splitlines()
    assert max(map(len, lines)) <= 80


def test_what_to_install_is_shown_with_its_brackets(rtseg, no_gpu, monkeypatch) -> None:
    monkeypatch.setattr(available, "missing", lambda _: 'none (pip install "rtseg[cuda]")')
    assert 'pip install "rtseg[cuda]"' in rtseg("doctor").out


def test_the_pairs_of_versions(rtseg, no_gpu, monkeypatch) -> None:
    here = {"torch": "2.13.0+cu130", "torch-tensorrt": "2.13.0", "tensorrt": "11.0.0.114"}
    monkeypatch.setattr(doctor, "_version", here.get)
    monkeypatch.setattr("rtseg.backends.installed.tensorrt_version", lambda: here["tensorrt"])
    out = rtseg("doctor").out
    for pair in PAIRS:
        text = rf"{pair.torch_tensorrt}\s+torch {pair.torch}, tensorrt {pair.tensorrt}"
        assert says(text + ("  *← installed" if pair.torch == "2.13" else r"\s*$"), out)
    here["tensorrt"] = "11.1.0.1"
    assert says(r"2.13.0 .*← fits the torch that is installed", rtseg("doctor").out)


# A machine with GPUs, as the driver would answer


@pytest.fixture
def two_gpus(monkeypatch) -> None:
    """Two devices of the driver, and everything that `auto` asks for."""
    answers: dict[str, Any] = {
        "cuDriverGetVersion": lambda: 13000,
        "cuDeviceGetCount": lambda: 2,
        "cuDeviceGet": lambda number: number,
        "cuDeviceGetName": lambda _length, device: b"NVIDIA %d\0\0" % device,
        "cuDeviceTotalMem": lambda _device: 79 << 30,
        "cuDeviceGetAttribute": lambda attribute, _device: int(attribute) - 66,
    }
    monkeypatch.setattr("rtseg.device.driver.missing", lambda: None)
    monkeypatch.setattr("rtseg.device.graph.driver_call", lambda name, *a: answers[name](*a))
    monkeypatch.setattr(available, "_spec", lambda _: SimpleNamespace(
        submodule_search_locations=[]
    ))  # fmt: skip


def test_gpus_by_name_capability_and_memory(rtseg, two_gpus) -> None:
    pytest.importorskip("cuda.bindings.driver")  # 75 and 76: numbers of the two attributes
    out = rtseg("doctor").out
    for number in (0, 1):
        assert says(rf"NVIDIA GPU\s+NVIDIA {number}, sm_910, 79 GiB, CUDA 13.0", out)
    assert says(r"torch\s+should run on the GPU \(not loaded\), f16; f32 and bf16 on the CPU", out)


def test_a_driver_that_is_too_old_is_no_yes(rtseg, two_gpus, monkeypatch) -> None:
    monkeypatch.setattr("rtseg.device.driver.cuda_version", lambda: 12040)
    monkeypatch.setattr(installed, "version", lambda *_: "13.0.88")
    out = " ".join(rtseg("doctor").out.split())
    assert "tensorrt no: numba-cuda is installed for CUDA 13, the NVIDIA driver knows" in out
    assert "CUDA 12.4 at most; install driver 580 or newer" in out
    assert says(r"auto\s+openvino: tensorrt", rtseg("doctor").out)


def test_auto_is_explained_where_there_is_a_gpu(rtseg, two_gpus, monkeypatch) -> None:
    monkeypatch.setattr(available, "missing", lambda _: None)
    assert says(r"auto\s+tensorrt, its first choice", rtseg("doctor").out)
    monkeypatch.setattr(available, "missing", lambda n: "no plan" if n == "tensorrt" else None)
    assert says(r"auto\s+torch-tensorrt: tensorrt cannot run on a GPU here", rtseg("doctor").out)


def test_a_gpu_whose_driver_cannot_be_asked_is_still_shown(rtseg, two_gpus, monkeypatch) -> None:
    def fails(*_: Any) -> None:
        raise EngineError("no cuda.bindings")

    monkeypatch.setattr("rtseg.device.graph.driver_call", fails)
    assert says(r"NVIDIA GPU\s+usable, says its driver; .*no cuda.bindings", rtseg("doctor").out)


def test_torch_is_not_imported() -> None:
    code = (
        "import sys\nfrom rtseg.cli.doctor import doctor\ndoctor()\n"
        "assert not {'torch', 'tensorrt', 'torch_tensorrt'} & sys.modules.keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
