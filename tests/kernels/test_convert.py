from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import MATRICES, SEEDS, SIZES, blank, pad, padded, pictures, random_planes

from rtseg.frame import ColourMatrix, Picture, Yuv420
from rtseg.kernels import cpu, reference
from rtseg.kernels.tables import rgb_from_yuv, yuv_from_rgb


@given(pictures())
def test_to_bgr_equals_the_reference(image: Picture) -> None:
    got, want = cpu.to_bgr(image), reference.to_bgr(image)
    if not isinstance(image, Yuv420):
        assert got is image
        assert want is image
    assert np.abs(got.astype(int) - want).max() <= 1


@given(SEEDS, SIZES, st.sampled_from(MATRICES), st.booleans())
def test_from_bgr_equals_the_reference(
    seed: int, size: tuple[int, int], matrix: ColourMatrix, full_range: bool
) -> None:
    rng = np.random.default_rng(seed)
    bgr = rng.integers(0, 256, (*size, 3), np.uint8)
    got, want = (random_planes(rng, *size, matrix, full_range) for _ in range(2))
    got = pad(got)
    assert isinstance(got, Yuv420)
    cpu.from_bgr(padded(bgr), got)
    reference.from_bgr(bgr, want)
    for a, b in zip((got.y, got.u, got.v), (want.y, want.u, want.v), strict=True):
        assert np.abs(a.astype(int) - b).max() <= 1


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("size", [(2, 2), (1, 1), (3, 5)])
def test_flat_colours_survive_the_round_trip(
    matrix: ColourMatrix, full_range: bool, size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(0)
    planes = random_planes(rng, *size, matrix, full_range)
    for colour in rng.integers(0, 256, (40, 3), np.uint8):
        bgr = np.full((*size, 3), colour, np.uint8)
        cpu.from_bgr(bgr, planes)
        assert np.abs(cpu.to_bgr(planes).astype(int) - bgr).max() <= 3


@pytest.mark.parametrize("full_range", [False, True])
def test_from_bgr_equals_swscale(full_range: bool) -> None:
    av = pytest.importorskip("av")
    tiles = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
    bgr = tiles.repeat(8, axis=0).repeat(8, axis=1)
    frame = av.VideoFrame.from_ndarray(bgr, format="bgr24").reformat(
        format="yuv420p",
        dst_colorspace="ITU709",
        src_color_range="JPEG",
        dst_color_range="JPEG" if full_range else "MPEG",
    )
    out = random_planes(np.random.default_rng(2), 48, 64, "bt709", full_range)
    cpu.from_bgr(bgr, out)
    for plane, got in zip(frame.planes, (out.y, out.u, out.v), strict=True):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        want = rows[: got.shape[0], : got.shape[1]]
        step = got.shape[0] // 6
        middle = np.s_[step // 2 :: step, step // 2 :: step]
        assert np.abs(got[middle].astype(int) - want[middle]).max() <= 2


def test_the_matrices_are_inverse() -> None:
    for matrix in MATRICES:
        forward, back = rgb_from_yuv(matrix, False), yuv_from_rgb(matrix, False)
        yuv = np.array([81.0, 90.0, 240.0])
        rgb = forward[:, :3] @ yuv + forward[:, 3]
        np.testing.assert_allclose(back[:, :3] @ rgb + back[:, 3], yuv)


@given(SEEDS, SIZES)
def test_count(seed: int, size: tuple[int, int]) -> None:
    labels = np.random.default_rng(seed).choice(np.array([0, 3, 3, 3, 10, 255], np.uint8), size)
    for given_labels in (labels, padded(labels), np.asfortranarray(labels)):
        got = cpu.count(given_labels)
        assert got.dtype == np.int64
        np.testing.assert_array_equal(got, np.bincount(labels.ravel(), minlength=256))
        np.testing.assert_array_equal(got, reference.count(given_labels))


@pytest.mark.parametrize("module", [cpu, reference])
def test_refuses_other_shapes_and_types(module: Any) -> None:
    planes = random_planes(np.random.default_rng(0), 4, 4, "bt709", False)
    with pytest.raises(ValueError, match="H, W"):
        module.from_bgr(np.zeros((4, 5, 3), np.uint8), blank(planes))
    with pytest.raises(ValueError, match="expected"):
        module.from_bgr(np.zeros((4, 4), np.uint8), planes)
    with pytest.raises(ValueError, match="expected"):
        module.to_bgr(np.zeros((4, 4, 4), np.uint8))
    with pytest.raises(ValueError, match="expected"):
        module.count(np.zeros(4, np.uint8))
