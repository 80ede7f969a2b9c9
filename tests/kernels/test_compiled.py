"""What the compiler made: one version of each kernel, in float32, without the GIL."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import numba
import numpy as np
import pytest
from kernel_cases import MATRICES, blank, freeze, pad, random_bytes, random_planes

from rtseg.classes import CAMVID
from rtseg.frame import Picture
from rtseg.kernels import _blend, _confidence, _convert, _postprocess, _preprocess, cpu
from rtseg.kernels.tables import blend_table

KERNELS = {
    "tensor_from_planes": _preprocess._tensor_from_planes,
    "tensor_from_bgr": _preprocess._tensor_from_bgr,
    "labels": _postprocess._labels,
    "confidence": _confidence._confidence,
    "blend_bgr": _blend._blend_bgr,
    "blend_planes": _blend._blend_planes,
    "bgr_from_planes": _convert._bgr_from_planes,
    "planes_from_bgr": _convert._planes_from_bgr,
    "count": _convert._count,
}


@pytest.fixture(scope="module")
def used() -> dict[str, Any]:
    """The kernels after calls with arrays of every kind."""
    rng = np.random.default_rng(0)
    images: list[Picture] = [random_bytes(rng, 6, 8, 3)]
    images += [random_planes(rng, 6, 8, matrix, full) for matrix in MATRICES for full in (0, 1)]
    for image in [*images, *map(pad, images), *(freeze(pad(i)) for i in images)]:
        labels = np.zeros((6, 8), np.uint8)
        cpu.preprocess(image, np.empty((1, 3, 4, 4), np.float32)[0], [0, 0, 0], (1, 1.0, 1))
        table = blend_table(CAMVID, alpha=1, like=image)
        cpu.blend(image, freeze(labels), table, blank(image))
        cpu.to_bgr(image)
    bgr = images[0]
    assert isinstance(bgr, np.ndarray)
    cpu.from_bgr(bgr[::-1], images[1])
    for logits in (np.zeros((2, 3, 4), np.float32), np.zeros((4, 3, 2), np.float32).T):
        cpu.postprocess(logits, np.empty((6, 8), np.uint8))
        for confidence in (np.empty((6, 8), np.uint8), np.empty((6, 16), np.uint8)[:, :8]):
            labels = np.empty((6, 16), np.uint8)[:, :8]
            cpu.postprocess(logits, labels, confidence=confidence)
    cpu.count(np.empty((6, 16), np.uint8)[:, :8])
    return KERNELS


@pytest.mark.parametrize("name", KERNELS)
def test_one_version_whatever_the_arrays(used: dict[str, Any], name: str) -> None:
    assert len(used[name].signatures) == 1


@pytest.mark.parametrize("name", KERNELS)
def test_options(name: str) -> None:
    options = KERNELS[name].targetoptions
    assert options["nogil"]
    # Rounding may be skipped in the network's input, nowhere else; nothing is ever reordered.
    allowed = {"contract"} if name.startswith("tensor") else set()
    assert set(options.get("fastmath") or ()) == allowed


@pytest.mark.parametrize("name", ["tensor_from_planes", "tensor_from_bgr", "labels", "confidence"])
def test_no_float64_in_float32_loops(used: dict[str, Any], name: str) -> None:
    # Code from the cache cannot be looked at, so the same function is compiled once more.
    kernel = used[name]
    again = numba.njit(nogil=True, error_model="numpy")(kernel.py_func)
    again.compile(kernel.signatures[0])
    (code,) = again.inspect_llvm().values()
    assert re.search(r"\bfmul\b.*\bfloat\b", code)
    assert not re.search(r"\b(fptrunc|fpext|double)\b", code)


def test_this_check_finds_float64() -> None:
    @numba.njit
    def widened(values: Any) -> None:
        for i in range(values.size):
            values[i] = values[i] * 0.1  # not 0.5: LLVM narrows what is exact

    widened(np.ones(3, np.float32))
    (code,) = widened.inspect_llvm().values()
    assert re.search(r"\b(fptrunc|fpext|double)\b", code)


def test_the_reference_runs_without_numba() -> None:
    code = "import sys; import rtseg.kernels.reference; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
