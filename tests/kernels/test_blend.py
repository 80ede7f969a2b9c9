from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import MATRICES, arrays, blank, label_maps, pad, pictures, random_planes

from rtseg.classes import CAMVID
from rtseg.errors import InputError
from rtseg.frame import ColourMatrix, Picture, Yuv420, size_of
from rtseg.kernels import _blend, cpu, reference
from rtseg.kernels.tables import PATTERN, BlendTable, blend_table

BGR = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)


@given(st.data(), pictures(), st.floats(0, 1))
def test_equals_the_reference(data: Any, image: Picture, alpha: float) -> None:
    width, height = size_of(image)
    labels = data.draw(label_maps(height, width))
    visible = data.draw(st.sampled_from([None, (), (0, 3, 10)]))
    table = blend_table(CAMVID, alpha=alpha, like=image, visible=visible)
    want = blank(image)
    reference.blend(image, labels, table, want)
    for got in (blank(image), pad(blank(image))):
        cpu.blend(image, labels, table, got)
        for a, b in zip(arrays(got), arrays(want), strict=True):
            np.testing.assert_array_equal(a, b)


@given(st.data(), pictures())
def test_in_place(data: Any, image: Picture) -> None:
    width, height = size_of(image)
    labels = data.draw(label_maps(height, width))
    table = blend_table(CAMVID, alpha=0.6, like=image)
    want, got = blank(image), blank(image)
    cpu.blend(image, labels, table, want)
    for a, b in zip(arrays(got), arrays(image), strict=True):
        a[:] = b
    cpu.blend(got, labels, table, got)
    for a, b in zip(arrays(got), arrays(want), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("module", [cpu, reference])
def test_one_pixel_by_hand(module: Any) -> None:
    colours, alpha = np.zeros((256, 3), np.uint8), np.zeros(256, np.uint16)
    colours[1], alpha[1] = (10, 200, 255), 64
    image = np.array([[[100, 100, 0], [5, 6, 7]]], np.uint8)
    out = np.zeros_like(image)
    module.blend(image, np.array([[1, 255]], np.uint8), BlendTable(colours, alpha), out)
    # (100 * 192 + 10 * 64 + 128) >> 8 and so on; label 255 shows the original.
    np.testing.assert_array_equal(out, [[[78, 125, 64], [5, 6, 7]]])


@pytest.mark.parametrize("module", [cpu, reference])
def test_chroma_is_the_mean_of_its_pixels(module: Any) -> None:
    colours, alpha = np.zeros((256, 3), np.uint8), np.zeros(256, np.uint16)
    colours[1], colours[2] = (50, 200, 10), (90, 60, 20)
    alpha[1] = alpha[2] = 256
    planes = [np.full(s, 100, np.uint8) for s in ((3, 3), (2, 2), (2, 2))]
    image, out = Yuv420(*planes), blank(Yuv420(*planes))
    labels = np.array([[1, 255, 2], [255, 255, 1], [2, 1, 2]], np.uint8)
    module.blend(image, labels, BlendTable(colours, alpha), out)
    assert isinstance(out, Yuv420)
    np.testing.assert_array_equal(out.y, [[50, 100, 90], [100, 100, 50], [90, 50, 90]])
    np.testing.assert_array_equal(out.u, [[125, 130], [130, 60]])  # (200 + 300) / 4, …
    np.testing.assert_array_equal(out.v, [[78, 15], [15, 20]])  # 77.5 is rounded up


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("full_range", [False, True])
def test_opaque_planes_have_the_palettes_colours(matrix: ColourMatrix, full_range: bool) -> None:
    image = random_planes(np.random.default_rng(0), 2, 2 * len(CAMVID), matrix, full_range)
    out = blank(image)
    labels = np.arange(len(CAMVID), dtype=np.uint8).repeat(2)[None].repeat(2, axis=0)
    cpu.blend(image, labels, blend_table(CAMVID, alpha=1, like=image), out)
    difference = cpu.to_bgr(out).astype(int) - CAMVID.palette()[labels]
    assert np.abs(difference).max() <= 4  # y, u and v are whole numbers


def test_table() -> None:
    table = blend_table(CAMVID, alpha=0.5, like=BGR, visible=[3, 8])
    assert set(np.flatnonzero(table.alpha)) == {3, 8}
    assert table.alpha[3] == 128
    np.testing.assert_array_equal(table.colours[3], (160, 64, 128))
    everything = blend_table(CAMVID, alpha=1, like=BGR).alpha
    np.testing.assert_array_equal(everything, [256] * 11 + [0] * 245)
    with pytest.raises(ValueError, match="read-only"):
        table.alpha[0] = 1


@pytest.mark.parametrize("alpha", [-0.01, 1.01, float("nan")])
def test_opacity_outside_0_to_1(alpha: float) -> None:
    with pytest.raises(InputError, match="opacity"):
        blend_table(CAMVID, alpha=alpha, like=BGR)


def test_unknown_visible_class() -> None:
    with pytest.raises(InputError, match=r"\[11\]"):
        blend_table(CAMVID, alpha=0.5, like=BGR, visible=[1, 11])


def test_tables_are_checked() -> None:
    colours, alpha = np.zeros((256, 3), np.uint8), np.zeros(256, np.uint16)
    with pytest.raises(ValueError, match="257"):
        BlendTable(colours, alpha + np.uint16(257))
    with pytest.raises(ValueError, match="colours"):
        BlendTable(colours[:5], alpha)
    assert BlendTable(colours, alpha).pattern.shape == (256, 3 * PATTERN)
    assert _blend._BGR_BLOCK == PATTERN  # the kernel reads that far, unchecked


@pytest.mark.parametrize("module", [cpu, reference])
def test_refuses_what_does_not_fit(module: Any) -> None:
    table, labels = blend_table(CAMVID, alpha=0.5, like=BGR), np.zeros((7, 9), np.uint8)
    rng = np.random.default_rng(0)
    planes = random_planes(rng, 7, 9, "bt709", False)
    with pytest.raises(ValueError, match="one size"):
        module.blend(BGR, labels[1:], table, BGR.copy())
    with pytest.raises(ValueError, match="one size"):
        module.blend(BGR, labels, table, BGR[1:].copy())
    with pytest.raises(ValueError, match="colour space"):
        module.blend(BGR, labels, table, planes)
    with pytest.raises(ValueError, match="colour space"):
        module.blend(random_planes(rng, 7, 9, "bt709", True), labels, table, planes)
    with pytest.raises(ValueError, match="labels"):
        module.blend(BGR, labels.astype(np.int32), table, BGR.copy())


def test_refuses_to_write_where_it_cannot() -> None:
    table, labels = blend_table(CAMVID, alpha=0.5, like=BGR), np.zeros((7, 9), np.uint8)
    fixed = BGR.copy()
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        cpu.blend(BGR, labels, table, fixed)
    with pytest.raises(ValueError, match="strides"):
        cpu.blend(BGR, labels, table, BGR.copy()[::-1])
