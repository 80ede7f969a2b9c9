"""The CUDA kernels in numba's simulator, thread by thread on tiny pictures.

The simulator is chosen when numba is imported, so each file runs in a process of its own; the same
files run on a GPU in test_cuda_gpu.py. What it does not show: rounding and widening of the compiled
code (test_cuda_ptx.py does), and threads that run at the same time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba.cuda", reason="numba-cuda is not installed")

FILES = sorted(Path(__file__).parent.glob("device_*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_in_the_simulator(file: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"},
        cwd=file.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_such_files() -> None:
    names = "copying", "drawing", "postprocess", "preprocess"
    assert {f.stem for f in FILES} == {f"device_{name}" for name in names}


@pytest.mark.parametrize("module", ["rtseg", "rtseg.kernels.cpu", "rtseg.kernels.reference"])
def test_the_cpu_path_does_not_import_numba_cuda(module: str) -> None:
    code = f"import sys, {module}; sys.exit('numba.cuda' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
