"""The CUDA kernels on a GPU: frames of real size against the CPU's kernels, and CUDA graphs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel_cases import blank, random_bytes, random_planes
from numpy.typing import NDArray

from rtseg.classes import CAMVID
from rtseg.frame import Layout, Picture
from rtseg.kernels import cpu, reference
from rtseg.kernels.tables import blend_table

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("gpu")]

SIZES = [(720, 1280), (1080, 1920)]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FILES = sorted(Path(__file__).parent.glob("device_*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_what_the_simulator_runs(file: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_ENABLE_CUDASIM"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)],
        env=environment,
        cwd=file.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def smooth_logits(classes: int, size: tuple[int, int]) -> NDArray[np.float32]:
    coarse = np.random.default_rng(classes).normal(size=(classes, 9, 16)).astype(np.float32)
    return np.ascontiguousarray(reference.resize(coarse, *size)) * np.float32(4)


def picture(layout: Layout, size: tuple[int, int]) -> Picture:
    rng = np.random.default_rng(0)
    if layout == "bgr":
        return random_bytes(rng, *size, 3)
    return random_planes(rng, *size, "bt709", False)


def outputs(size: tuple[int, int]) -> tuple[Any, Any]:
    from numba import cuda

    return cuda.device_array(size, np.uint8), cuda.device_array(1, np.int32)


@pytest.mark.parametrize("classes", [11, 19])
@pytest.mark.parametrize("size", SIZES)
def test_labels_are_those_of_the_cpu(size: tuple[int, int], classes: int) -> None:
    from numba import cuda

    from rtseg.kernels import cuda as kernels

    logits = smooth_logits(classes, (64, 128))
    want, stream = np.empty(size, np.uint8), cuda.stream()
    assert cpu.postprocess(logits, want)
    labels, valid = outputs(size)
    kernels.postprocess(cuda.to_device(logits), labels, stream=stream, valid=valid)
    stream.synchronize()
    got = labels.copy_to_host()
    assert valid.copy_to_host()[0] == 1
    dense = reference.resize(logits, *size)
    chosen, expected = (
        np.take_along_axis(dense, ids[None].astype(np.intp), axis=0) for ids in (got, want)
    )
    # Where they differ, only rounding makes two classes equal; one pixel in a million, if any.
    np.testing.assert_array_equal(chosen, expected)
    assert (got != want).sum() <= 3


@pytest.mark.parametrize("layout", ["nv12", "i420", "bgr"])
@pytest.mark.parametrize("size", SIZES)
def test_blends_are_those_of_the_cpu(layout: Layout, size: tuple[int, int]) -> None:
    from cuda_cases import DeviceCase
    from numba import cuda

    from rtseg.kernels import cuda as kernels

    image, labels = picture(layout, size), np.empty(size, np.uint8)
    cpu.postprocess(smooth_logits(11, (45, 80)), labels)
    table, want = blend_table(CAMVID, alpha=0.5, like=image), blank(image)
    cpu.blend(image, labels, table, want)
    case, stream = DeviceCase(image, layout, 64), cuda.stream()
    kernels.blend(case.picture, cuda.to_device(labels), table, case.picture, stream=stream)
    stream.synchronize()
    case.assert_equals(want)


@pytest.mark.parametrize("layout", ["nv12", "p010", "i420", "bgr"])
@pytest.mark.parametrize("size", SIZES)
def test_the_input_is_that_of_the_cpu(layout: Layout, size: tuple[int, int]) -> None:
    from cuda_cases import DeviceCase
    from numba import cuda

    from rtseg.kernels import cuda as kernels

    image, want = picture(layout, size), np.empty((3, 512, 1024), np.float32)
    cpu.preprocess(image, want, MEAN, STD)
    out, stream = cuda.device_array(want.shape, np.float16), cuda.stream()
    kernels.preprocess(DeviceCase(image, layout).picture, out, MEAN, STD, stream=stream)
    stream.synchronize()
    np.testing.assert_allclose(out.copy_to_host(), want, rtol=2**-11, atol=4e-5)


def test_launches_find_what_was_compiled() -> None:
    from rtseg.kernels import cuda as kernels
    from rtseg.kernels._cuda_jit import KERNELS

    kernels.compile_all()
    for compiled, signatures in KERNELS.values():
        assert len(compiled.overloads) == len(signatures)
    test_labels_are_those_of_the_cpu((720, 1280), 11)
    for layout in ("nv12", "i420", "bgr"):
        test_blends_are_those_of_the_cpu(layout, (720, 1280))
        test_the_input_is_that_of_the_cpu(layout, (720, 1280))
    for compiled, signatures in KERNELS.values():
        assert len(compiled.overloads) == len(signatures)
        assert not any(k.library._lto for k in compiled.overloads.values()), "an old cache"


def test_copies_are_compiled_before_they_are_launched() -> None:
    from numba import cuda

    from rtseg.kernels import cuda as kernels
    from rtseg.kernels._cuda_copy import COPIES
    from rtseg.kernels._cuda_jit import KERNELS

    kernels.compile_copies()
    before = [len(KERNELS[name].compiled.overloads) for name in COPIES]
    out = cuda.to_device(np.zeros((1080, 1920), np.uint8))
    for kind in (np.uint8, np.uint16):
        plane = np.random.default_rng(0).integers(0, 1 << 8, out.shape, kind)
        kernels.copy_planes((cuda.to_device(plane),), (out,), stream=cuda.default_stream())
        np.testing.assert_array_equal(out.copy_to_host(), plane if kind is np.uint8 else plane >> 7)
    assert [len(KERNELS[name].compiled.overloads) for name in COPIES] == before == [1, 1]


def test_a_graph_replays_a_frame() -> None:
    """All three kernels captured, then launched for other content in the same memory."""
    from cuda_cases import DeviceCase
    from numba import cuda

    from rtseg.device.graph import Graph
    from rtseg.kernels import cuda as kernels

    size, stream = (720, 1280), cuda.stream()
    image = picture("nv12", size)
    case, table = DeviceCase(image, "nv12"), blend_table(CAMVID, alpha=0.5, like=image)
    first, second = smooth_logits(11, (45, 80)), smooth_logits(12, (45, 80))[:11]
    logits, (labels, valid) = cuda.to_device(first), outputs(size)
    tensor, out = cuda.device_array((3, 360, 640), np.float16), DeviceCase(blank(image), "nv12")

    def frame() -> None:
        kernels.preprocess(case.picture, tensor, MEAN, STD, stream=stream)
        kernels.postprocess(logits, labels, stream=stream, valid=valid)
        kernels.blend(case.picture, labels, table, out.picture, stream=stream)

    frame()
    stream.synchronize()
    graph, kept = Graph.capture(stream, frame), kernels.uploads()
    broken = second.copy()
    broken[0, 0, 0] = np.nan
    for content in (second, broken, first):
        logits.copy_to_device(content, stream=stream)
        graph.launch()
        stream.synchronize()
        want, drawn = np.empty(size, np.uint8), blank(image)
        assert valid.copy_to_host()[0] == cpu.postprocess(content, want)
        got = labels.copy_to_host()
        assert (got != want).sum() <= 3
        cpu.blend(image, got, table, drawn)
        out.assert_equals(drawn)
    assert kept


def test_streams_do_not_disturb_each_other() -> None:
    """Two contexts' labels at the same time, one of them from broken logits."""
    from numba import cuda

    from rtseg.kernels import cuda as kernels

    size, good = (1080, 1920), smooth_logits(11, (64, 128))
    bad, want = good.copy(), np.empty(size, np.uint8)
    bad[5, 40, 70] = np.inf
    cpu.postprocess(good, want)
    jobs = [(cuda.to_device(x), *outputs(size), cuda.stream()) for x in (good, bad)]
    for _ in range(50):
        for logits, labels, valid, stream in jobs:
            kernels.postprocess(logits, labels, stream=stream, valid=valid)
    cuda.synchronize()
    (_, labels, valid, _), (_, wrong, invalid, _) = jobs
    assert (valid.copy_to_host()[0], invalid.copy_to_host()[0]) == (1, 0)
    assert (wrong.copy_to_host() == 255).all()
    assert (labels.copy_to_host() != want).sum() <= 3
