"""How `scripts/gpu-check` measures, without a GPU: statistics, bytes, engines; the rest in numba's
simulator, in a process of its own (simulated_benchmarks/)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytest.importorskip("numba.cuda", reason="numba-cuda is not installed")
sys.path.insert(0, str(ROOT / "benchmarks"))


def test_percentiles() -> None:
    from rtseg.benchmark.device_timing import spread

    found = spread([float(n) for n in range(101)])
    want = {"p50_ms": 50.0, "p90_ms": 90.0, "p95_ms": 95.0, "p99_ms": 99.0}
    assert found == {"count": 101, "min_ms": 0.0, **want}
    with pytest.raises(ValueError, match="no samples"):
        spread([])


def test_shares_of_kernels() -> None:
    from gpu_kernels import figures

    times = {"rtseg": [0.002, 0.004, 0.003], "copy": [0.0015] * 3, "torch": [0.06] * 3}
    found = figures(times, nbytes=9_000_000, copy_rate=4e12)
    assert found["share_of_copy"] == 0.75
    assert found["share_of_same_copy"] == 0.5
    assert (found["torch_ratio"], found["mbytes"]) == (20.0, 9.0)
    del times["torch"]
    assert "torch_ratio" not in figures(times, 1, 1.0)


def test_rows_of_engines() -> None:
    pytest.importorskip("torch")
    from gpu_engines import row

    from rtseg.benchmark.roofline import Bound

    limit = Bound(0.5, 2_000_000_000, 3_000_000, 9, 0.25)
    found = row([1.0, 1.0, 2.0, 1.0], 1.3, limit)
    assert (found["fps"], found["share_of_roofline"]) == (800.0, 0.5)
    assert (found["gflops"], found["mbytes"], found["layers"]) == (2.0, 3.0, 9)
    assert "bound_ms" not in row([1.0], 1.0, None)


def test_engines_of_this_machine_are_there_or_absent_with_a_reason() -> None:
    from gpu_engines import absent, kinds

    there, reasons = kinds("dilanet-m", "shipped"), absent()
    for name in ("tensorrt", "torch-tensorrt"):
        assert (name in there) != bool(reasons.get(name))
    assert ("torch, compiled" in there) != bool(reasons.get("torch"))
    assert "torch, compiled" not in kinds("enet", "shipped")


def test_a_network_is_loaded_with_sizes_it_takes() -> None:
    from gpu_engines import PEERS, SIZES, load, roof

    from rtseg.benchmark.roofline import Rates

    model, sizes = load("dilanet-s", SIZES)
    assert sizes == list(SIZES)
    assert len(PEERS) == 8
    limit = roof(model, sizes[0], Rates(1e14, 1e12))
    assert limit.flops == pytest.approx(2e9 * model.contract.gmacs, rel=1e-3)


@pytest.mark.parametrize(
    ("layout", "size", "target", "expected"),
    [
        ("bgr", (64, 8), (64, 8), 64 * 8 * 3),
        ("nv12", (64, 8), (64, 8), 64 * 8 * 3 // 2),
        ("i420", (64, 8), (64, 8), 64 * 8 * 3 // 2),
        ("bgr", (64, 8), (64, 2), 64 * 4 * 3),  # 2 of 4 rows for each row of the input
        ("nv12", (192, 8), (4, 8), 8 * 4 * 32 + 4 * 4 * 32),  # 4 sectors of 6 in each row
    ],
)
def test_bytes_that_resizing_reads(layout, size, target, expected) -> None:
    from gpu_kernel_cases import bytes_read

    assert bytes_read(layout, size, target) == expected


def test_rings_are_large_but_not_endless() -> None:
    from gpu_kernel_cases import FOOTPRINT, slots

    assert slots(FOOTPRINT + 1) == 1
    assert slots(FOOTPRINT // 10) == 11
    assert slots(1) == 256


def test_names_for_torch_are_there() -> None:
    """What is called on a GPU exists with these arguments."""
    import inspect

    torch = pytest.importorskip("torch")
    from rtseg.backends.torch import build
    from rtseg.backends.torch_cuda import CudaEngine

    assert "optimise" in inspect.signature(build).parameters
    assert "cuda_graph" in inspect.signature(CudaEngine).parameters
    assert "stream" in inspect.signature(torch.cuda.graph.__init__).parameters
    assert callable(torch.cuda.Stream.wait_stream)
    assert callable(torch.cuda.CUDAGraph.replay)


@pytest.mark.parametrize("name", ["kernels", "running"])
def test_on_the_simulator(name: str) -> None:
    pytest.importorskip("torch")
    file = Path(__file__).parent / "simulated_benchmarks" / f"{name}.py"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "PYTEST_ADDOPTS": ""},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


def test_a_file_that_nvdec_does_not_take_is_refused_with_its_reason(tmp_path: Path) -> None:
    pytest.importorskip("av")
    import gpu_video
    import scenes

    from rtseg.device import driver
    from rtseg.errors import SourceError
    from rtseg.video.sources import open_source

    clip = scenes.rendered(tmp_path, (64, 64), 3)
    with open_source(clip) as source:
        assert [(f.width, f.height) for f in source] == [(64, 64)] * 3
    reason = driver.missing()
    if reason is not None:
        assert gpu_video.missing() == reason
        with pytest.raises(SourceError, match="cannot be decoded by NVDEC: no NVIDIA driver"):
            gpu_video.measure("dilanet-s", (64, 64), clip)
