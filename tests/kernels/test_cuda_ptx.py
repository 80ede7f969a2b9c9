"""What the CUDA compiler makes of the kernels: no GPU is needed to read it."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

cuda = pytest.importorskip("numba.cuda", reason="numba-cuda is not installed")

from numba.cuda.cudadrv.error import NvrtcError, NvvmSupportError  # noqa: E402

from rtseg.device import driver  # noqa: E402
from rtseg.kernels import cuda as kernels  # noqa: E402, F401 - it registers them
from rtseg.kernels._cuda_jit import KERNELS  # noqa: E402

ARCHITECTURES = {"sm_75": (7, 5), "sm_87": (8, 7), "sm_89": (8, 9), "sm_90": (9, 0)}
"""Turing, Orin, Ada and Hopper."""

CASES = [(name, i) for name, k in KERNELS.items() for i in range(len(k.signatures))]


@pytest.fixture(autouse=True)
def without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """numba asks the GPU for its architecture where a kernel calls a device function; the answer
    does not reach the PTX of another architecture."""
    if driver.missing():
        device = SimpleNamespace(compute_capability=(7, 5))
        monkeypatch.setattr("numba.cuda.dispatcher.get_current_device", lambda: device)


def ptx_of(function: Any, signature: str, architecture: str = "sm_87") -> str:
    try:
        code, _ = cuda.compile_ptx(function, signature, cc=ARCHITECTURES[architecture])
    except (NvvmSupportError, NvrtcError) as exc:
        pytest.skip(f"no CUDA compiler: {exc}")
    return str(code)


def assembled(code: str, architecture: str) -> str:
    """What the assembler says of a kernel. Fails if it does not take the code."""
    linker = pytest.importorskip("cuda.bindings.nvjitlink", reason="no assembler")
    handle = linker.create(3, [f"-arch={architecture}", "-verbose", "-Xptxas=-v"])
    try:
        linker.add_data(handle, linker.InputType.PTX, code.encode(), len(code), "kernel")
        linker.complete(handle)
        log = bytearray(linker.get_info_log_size(handle))
        linker.get_info_log(handle, log)
    finally:
        linker.destroy(handle)
    return log.decode()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("name", "i"), CASES)
def test_compiles_to_narrow_code(name: str, i: int, architecture: str) -> None:
    kernel = KERNELS[name]
    code = ptx_of(kernel.compiled.py_func, kernel.signatures[i], architecture)
    assert f".target {architecture}" in code
    assert ".f64" not in code
    assert ".local" not in code  # arrays of a thread are in registers
    assert not re.search(r"^\s*call", code, re.MULTILINE)  # all parts are inlined
    log = assembled(code, architecture)
    assert "0 bytes spill stores, 0 bytes spill loads" in log
    registers = int(re.search(r"Used (\d+) registers", log)[1])
    assert registers * 256 * 2 <= 65536  # two blocks of 256 threads find room at the least


def test_what_is_read_here_is_what_runs() -> None:
    """With link-time optimisation other code would."""
    assert all(kernel.compiled.targetoptions["lto"] is False for kernel in KERNELS.values())


def test_copies_move_bytes() -> None:
    for name, read in (("copy_rows", "u8"), ("narrow_rows", "u16")):
        code = ptx_of(KERNELS[name].compiled.py_func, *KERNELS[name].signatures)
        assert set(re.findall(r"ld\.global\.(\w+)", code)) == {read}
        assert set(re.findall(r"st\.global\.(\w+)", code)) == {"u8"}


def test_labels_round_every_product_and_every_sum() -> None:
    code = ptx_of(KERNELS["labels"].compiled.py_func, *KERNELS["labels"].signatures)
    assert "fma.rn" not in code
    assert "mul.rn.f32" in code
    assert "add.rn.f32" in code
    # Without an explicit rounding the assembler may contract them after all.
    assert not re.search(r"\b(mul|add|mad)\.f32", code)


def test_labels_and_luma_are_stored_as_words() -> None:
    labels = ptx_of(KERNELS["labels"].compiled.py_func, *KERNELS["labels"].signatures)
    assert "st.global.u32" in labels
    for name in ("blend_nv12", "blend_i420", "blend_bgr"):
        code = ptx_of(KERNELS[name].compiled.py_func, *KERNELS[name].signatures)
        assert set(re.findall(r"(?:ld|st)\.global\.(\w+)", code)) == {"u32"}


def test_these_checks_find_what_they_look_for() -> None:
    def careless(values: Any) -> None:
        i = cuda.grid(1)
        values[i] = values[i] * 0.1

    def contracted(values: Any) -> None:
        i = cuda.grid(1)
        values[i] = values[i] * values[i + 1] + values[i + 2]

    def spilled(values: Any) -> None:
        own = cuda.local.array(64, np.float32)
        for i in range(64):
            own[i] = values[i]
        values[cuda.grid(1)] = own[np.int32(values[0])]

    signature = "void(float32[::1])"
    assert ".f64" in ptx_of(careless, signature)
    assert "fma.rn.f32" in ptx_of(contracted, signature)
    assert ".local" in ptx_of(spilled, signature)
