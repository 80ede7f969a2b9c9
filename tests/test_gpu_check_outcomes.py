"""What `scripts/gpu-check` says of tests, from runs of pytest on tests made for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import gpu_tests  # noqa: E402

MADE = """
import os
import pytest

pytestmark = pytest.mark.gpu

def test_that_passes():
    assert os.environ["RTSEG_REQUIRE_GPU"] == "1"
    assert "NUMBA_ENABLE_CUDASIM" not in os.environ

def test_that_fails():
    assert 1 + 1 == 3, "sums are off"

def test_that_is_skipped():
    pytest.skip("no TensorRT here")

def test_of_a_package_that_is_missing():
    import no_such_package_as_this

def test_of_a_name_that_is_missing():
    import os.no_such_module

@pytest.fixture
def broken():
    raise ValueError("the fixture broke")

def test_whose_fixture_fails(broken):
    pass
"""


@pytest.fixture
def made(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    gpu: needs one\n")
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_made.py").write_text(MADE)
    missing = "import pytest, another_missing_package\npytestmark = pytest.mark.gpu\n"
    (folder / "test_missing.py").write_text(missing + "def test_it(): pass\n")
    (folder / "test_of_the_cpu.py").write_text("import nothing_that_exists\n")
    return tmp_path


def test_each_test_that_did_not_pass_has_its_reason(made: Path, monkeypatch) -> None:
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-x")
    found = gpu_tests.run(made)
    assert found["counts"] == {"passed": 1, "failed": 3, "skipped": 1, "left_out": 2}
    cases = {case["test"].split("::")[-1].split(".")[-1]: case for case in found["not_passed"]}
    assert cases["test_that_is_skipped"]["why"] == "no TensorRT here"
    assert "sums are off" in cases["test_that_fails"]["why"]
    assert "the fixture broke" in cases["test_whose_fixture_fails"]["why"]
    assert cases["test_of_a_package_that_is_missing"]["outcome"] == "left out"
    assert "no_such_module" in cases["test_of_a_name_that_is_missing"]["why"]
    why = "another_missing_package is not installed"
    assert cases["test_missing"] == {
        "test": cases["test_missing"]["test"], "outcome": "left out", "why": why
    }  # fmt: skip


def test_no_report_is_an_error(made: Path) -> None:
    with pytest.raises(RuntimeError, match=r"pytest ended with 4: .*--no-such-option"):
        gpu_tests.run(made, ["--no-such-option"])


def test_without_pytest_its_name_is_said(monkeypatch) -> None:
    monkeypatch.setattr(gpu_tests, "NEEDED", ("pytest", "pytest_without_a_home"))
    with pytest.raises(ModuleNotFoundError) as stopped:
        gpu_tests.run()
    assert stopped.value.name == "pytest-without-a-home"


def test_a_package_that_is_there_is_not_what_is_missing() -> None:
    assert gpu_tests.absent_package("No module named 'json.nothing'") is None
    assert gpu_tests.absent_package("no-such-package is not installed") == "no-such-package"
    assert gpu_tests.absent_package("the file is damaged") is None


def test_files_with_gpu_tests_are_found() -> None:
    names = {path.name for path in gpu_tests.marked(ROOT / "tests")}
    assert {"test_device_gpu.py", "test_cuda_gpu.py", "test_torch_cuda.py"} <= names
    assert "test_frame.py" not in names
