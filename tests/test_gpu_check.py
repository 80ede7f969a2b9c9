"""`scripts/gpu-check` as far as it goes without a GPU: refusal, options, parts, the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests")]
SCRIPT = ROOT / "scripts" / "gpu-check"

import gpu_document  # noqa: E402
import gpu_machine  # noqa: E402
from gpu_check import Check  # noqa: E402
from gpu_documents import kernel_row, made_document  # noqa: E402
from gpu_options import options  # noqa: E402

from rtseg.backends import available  # noqa: E402
from rtseg.benchmark import nvidia  # noqa: E402
from rtseg.errors import EngineError, InputError  # noqa: E402


def gpu_check(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPT), *arguments], env=os.environ | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


# The command


@pytest.mark.skipif(available.gpu_missing() is None, reason="there is a GPU, so it would run")
def test_without_a_gpu_it_says_so_in_one_sentence(tmp_path: Path) -> None:
    done = gpu_check(str(tmp_path / "out.json"), RTSEG_PYTHON=sys.executable)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"gpu-check needs an NVIDIA GPU: {available.gpu_missing()}\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(available.gpu_missing() is None, reason="there is a GPU, so it would run")
def test_the_simulator_is_no_gpu() -> None:
    done = gpu_check(RTSEG_PYTHON=sys.executable, NUMBA_ENABLE_CUDASIM="1")
    assert done.returncode == 2


def test_it_takes_the_python_that_is_named_before_that_of_an_environment(tmp_path: Path) -> None:
    for name in ("named", "active/bin/python", "setup/bin/python"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\necho {name} "$@"; echo "$PYTHONPATH"\n')
        path.chmod(0o755)
    places = {
        "RTSEG_PYTHON": str(tmp_path / "named"),
        "VIRTUAL_ENV": str(tmp_path / "active"),
        "RTSEG_VENV": str(tmp_path / "setup"),
    }
    for first in ("named", "active/bin/python", "setup/bin/python"):
        said, paths = gpu_check("out.json", **places).stdout.splitlines()
        assert said == f"{first} {ROOT}/benchmarks/bench_gpu.py out.json"
        assert paths.split(":")[0] == str(ROOT)
        places[next(name for name, place in places.items() if place)] = ""


def test_a_python_that_is_not_there_is_one_sentence() -> None:
    done = gpu_check(RTSEG_PYTHON="/nowhere/python")
    assert done.returncode == 2
    assert done.stderr == (
        "gpu-check: no /nowhere/python; run scripts/setup '.[dev]', or set RTSEG_PYTHON\n"
    )


def test_nothing_heavy_is_loaded_before_the_gpu_is_found() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'benchmarks')!r}); import bench_gpu; "
        "sys.exit(bool({'torch', 'numba', 'cv2', 'onnx', 'av'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--only", "kernel"], "some of tests, engines, kernels, stream, video"),
        (["--only", ""], "names no part"),
        (["--sizes", "480"], "such as 480x360"),
        (["--frames", "0"], "a number above 0"),
        (["--compile", "some"], "invalid choice"),
        (["--clip", "/nowhere/clip.mp4"], "no file '/nowhere/clip.mp4'"),
    ],
)
def test_options_that_make_no_sense(arguments, says, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        options(arguments)
    assert stopped.value.code == 2
    assert says in capsys.readouterr().err


def test_options() -> None:
    asked = options(["a.json", "--only", "tests,stream", "--sizes", "64x32,480x360"])
    assert (asked.out, asked.only) == (Path("a.json"), ["tests", "stream"])
    assert asked.sizes == ((64, 32), (480, 360))
    assert (asked.frames, asked.compile, asked.add) == (20000, "shipped", False)
    assert options([]).only == list(gpu_document.PARTS)


# Running the parts


@pytest.fixture
def document() -> dict[str, Any]:
    return made_document()


@pytest.fixture
def check(document, tmp_path: Path) -> Check:
    document["machine"]["pci"] = "0000:00:00.0"
    return Check(options(["--only", "kernels"]), document, tmp_path / "out.json")


def test_a_missing_package_is_left_out_and_a_broken_part_has_failed(check: Check, capsys) -> None:
    def lacking() -> None:
        import no_such_package_as_this  # noqa: F401

    def incomplete() -> None:
        raise ModuleNotFoundError("No module named 'gpu_kernels'", name="gpu_kernels")

    def broken() -> None:
        raise EngineError("the GPU failed\nat length")

    assert check.part("sum", lambda: 3) == 3
    for name, work in (("a", lacking), ("b", incomplete), ("c", broken), ("c", broken)):
        assert check.part(name, work) is None
    why = "no_such_package_as_this is not installed"
    assert check.document["left_out"] == [{"what": "a", "why": why}]
    assert check.document["failed"] == [
        {"what": "b", "why": "No module named 'gpu_kernels'"},
        {"what": "c", "why": "EngineError: the GPU failed"},
    ]
    assert "left out: a: " in capsys.readouterr().out


def test_rows_before_a_failure_are_kept(check: Check) -> None:
    def rows() -> Any:
        yield kernel_row("blend nv12")
        raise EngineError("lost")

    check.part("kernels", lambda: check._rows("kernels", "how it is\nmeasured", rows()))
    part = check.document["kernels"]
    assert (part["how"], len(part["rows"])) == ("how it is measured", 1)
    assert part["rates"] == check.document["rates"]
    assert check.document["failed"][0]["what"] == "kernels"


def test_rows_are_added_to_those_of_a_file(check: Check, capsys) -> None:
    rows = [kernel_row("blend nv12", p50_ms=0.5), kernel_row("blend bgr")]
    check.asked.add = True
    check._rows("kernels", "", rows)
    kept = [(r["kernel"], r["size"][0], r["p50_ms"]) for r in check.document["kernels"]["rows"]]
    assert kept == [
        ("postprocess scene", 1920, 0.02), ("postprocess scene", 3840, 0.3),
        ("blend nv12", 1920, 0.5), ("blend bgr", 1920, 1.0),
    ]  # fmt: skip
    check.asked.add = False
    check._rows("kernels", "", rows[:1])
    assert check.document["kernels"]["rows"] == rows[:1]


def test_what_is_measured_again_forgets_what_was_noted(check: Check) -> None:
    notes = [{"what": what, "why": ""} for what in ("kernels", "engines: tensorrt", "rates")]
    check.document["failed"] = notes
    check._forget()
    assert [note["what"] for note in check.document["failed"]] == ["engines: tensorrt"]


def test_a_document_goes_on_only_on_the_same_gpu_and_revision(document, tmp_path: Path) -> None:
    from bench_gpu import resumed

    path = tmp_path / "out.json"
    fresh = gpu_document.new(document["machine"], {}, document["revision"])
    gpu_document.write(path, document)
    assert resumed(path, fresh)["engines"] == document["engines"]
    fresh["machine"] = {"gpu": "NVIDIA L4"}
    with pytest.raises(InputError, match="another GPU or revision"):
        resumed(path, fresh)
    path.write_text("{")
    with pytest.raises(InputError, match="holds no earlier check"):
        resumed(path, fresh)


def test_every_part_has_what_runs_it() -> None:
    for part in gpu_document.PARTS:
        assert callable(getattr(Check, f"_{part}"))
        assert part == "tests" or part in gpu_document.COLUMNS


# The machine


def test_names_of_files() -> None:
    assert gpu_machine.slug("NVIDIA H200") == "h200"
    assert gpu_machine.slug("NVIDIA GeForce RTX 4090") == "geforce-rtx-4090"
    assert gpu_machine.slug("Tesla T4") == "tesla-t4"


def test_all_packages_have_their_versions() -> None:
    found = gpu_machine.versions()
    assert {"rtseg", "numpy", "pytest"} <= set(found)
    assert all(found.values())


def test_the_revision_is_that_of_the_checkout(tmp_path: Path) -> None:
    assert gpu_machine.revision(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    (tmp_path / "file").write_text("1")
    subprocess.run([*git, "add", "file"], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "1"], check=True)
    found = gpu_machine.revision(tmp_path)
    assert found is not None
    assert (len(found["commit"]), found["changed"]) == (40, False)
    (tmp_path / "file").write_text("2")
    assert gpu_machine.revision(tmp_path) == found | {"changed": True}


def test_the_drivers_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "version"
    assert gpu_machine.driver_version(path) is None
    path.write_text("NVRM version: NVIDIA UNIX Open Kernel Module  580.159.04  Release Build\n")
    assert gpu_machine.driver_version(path) == "580.159.04"


def test_readings_use_names_that_are_there() -> None:
    """NVML's functions and constants; a function that the device does not know gives None."""
    nvml = pytest.importorskip("pynvml")

    class Recorded:
        """The module, as if the device answered 7 to everything but its power."""

        NVMLError = nvml.NVMLError

        def __getattr__(self, name: str) -> Any:
            real = getattr(nvml, name)
            if not callable(real):
                return real
            if name.startswith("nvmlDeviceGetPower"):
                return self.refuse
            return lambda *_: 7

        def refuse(self, *_: Any) -> None:
            raise nvml.NVMLError(nvml.NVML_ERROR_NOT_SUPPORTED)

    found = nvidia.state(Recorded(), 7)
    assert found == {
        "name": 7, "driver": 7, "sm_mhz": 7, "memory_mhz": 7, "power_w": None,
        "power_limit_w": 0.007, "celsius": 7, "held_down_by": 7,
    }  # fmt: skip


@pytest.mark.skipif(available.gpu_missing() is None, reason="there is a GPU, which has readings")
def test_no_nvml_is_left_out(check: Check) -> None:
    pytest.importorskip("pynvml")
    assert check.part("readings", check._readings) is None
    assert check.document["left_out"][0]["what"] == "readings"
    assert check.document["failed"] == []
