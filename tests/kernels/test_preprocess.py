from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from kernel_cases import MATRICES, SEEDS, SMALL, arrays, pictures, random_planes

from rtseg.frame import ColourMatrix, Picture, Yuv420
from rtseg.kernels import cpu, reference
from rtseg.kernels.tables import LUMA_WEIGHTS

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PLAIN = (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)  # leaves 0–255 as it is


def levels(image: Picture, height: int, width: int) -> np.ndarray[Any, Any]:
    """(3, h, w) RGB, 0–255."""
    out = np.full((3, height, width), np.nan, np.float32)
    cpu.preprocess(image, out, *PLAIN)
    return out


def flat(y: int, u: int, v: int, matrix: ColourMatrix, full_range: bool) -> Yuv420:
    shapes = (4, 6), (2, 3), (2, 3)
    planes = (np.full(s, x, np.uint8) for s, x in zip(shapes, (y, u, v), strict=True))
    return Yuv420(*planes, matrix, full_range)


@given(pictures(), SMALL)
def test_equals_the_reference(image: Picture, size: tuple[int, int]) -> None:
    got, want = np.full((2, 3, *size), np.nan, np.float32)
    cpu.preprocess(image, got, MEAN, STD)
    reference.preprocess(image, want, MEAN, STD)
    np.testing.assert_allclose(got, want, atol=2e-5)


@given(SEEDS, SMALL, SMALL)
def test_geometry_is_that_of_opencv(seed: int, size: tuple[int, int], to: tuple[int, int]) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    want = cv2.resize(image.astype(np.float32), to[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(levels(image, *to), want[:, :, ::-1].transpose(2, 0, 1), atol=0.01)


def test_half_pixel_centres_and_clamped_edges() -> None:
    image = np.repeat(np.array([[0, 100]], np.uint8)[:, :, None], 3, axis=2)
    np.testing.assert_allclose(levels(image, 1, 4)[0, 0], [0, 25, 75, 100])


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("full_range", [False, True])
def test_black_white_and_red_of_the_standards(matrix: ColourMatrix, full_range: bool) -> None:
    black, white = (0, 255) if full_range else (16, 235)
    np.testing.assert_allclose(
        levels(flat(black, 128, 128, matrix, full_range), 2, 2), 0, atol=1e-3
    )
    np.testing.assert_allclose(
        levels(flat(white, 128, 128, matrix, full_range), 2, 2), 255, atol=1e-3
    )
    kr, kb = LUMA_WEIGHTS[matrix]
    # Red, R = 255: y = kr, cb = -kr / (2 (1 - kb)), cr = 1/2, of the scale of each.
    scale = (255, 255) if full_range else (219, 224)
    y = black + kr * scale[0]
    u = 128 - kr / (2 * (1 - kb)) * scale[1]
    v = 128 + 0.5 * scale[1]
    planes = flat(round(y), round(u), min(round(v), 255), matrix, full_range)
    np.testing.assert_allclose(levels(planes, 1, 1).ravel(), [255, 0, 0], atol=3)


@pytest.mark.parametrize(("matrix", "name"), [("bt601", "itu601"), ("bt709", "itu709")])
@pytest.mark.parametrize("full_range", [False, True])
def test_colours_are_those_of_swscale(matrix: ColourMatrix, name: str, full_range: bool) -> None:
    av = pytest.importorskip("av")
    rng = np.random.default_rng(3)
    # Flat 8x8 tiles, so that how chroma is placed and filtered does not matter.
    tiles = rng.integers(60, 190, (3, 6, 8), np.uint8)
    frame = av.VideoFrame(64, 48, "yuv420p")
    for plane, values, size in zip(frame.planes, tiles, (8, 4, 4), strict=True):
        pixels = values.repeat(size, axis=0).repeat(size, axis=1)
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        memory = rows.copy()
        memory[: pixels.shape[0], : pixels.shape[1]] = pixels
        plane.update(memory.tobytes())
    span = "JPEG" if full_range else "MPEG"
    want = frame.to_ndarray(
        format="rgb24", src_colorspace=name, src_color_range=span, dst_color_range="JPEG"
    )
    y, u, v = (t.repeat(s, 0).repeat(s, 1) for t, s in zip(tiles, (8, 4, 4), strict=True))
    got = levels(Yuv420(y, u, v, matrix, full_range), 48, 64)
    middle = np.s_[3::8, 3::8]
    for channel in range(3):
        difference = got[channel][middle] - want[:, :, channel][middle]
        assert np.abs(difference).max() <= 3


def test_writes_into_an_engines_memory() -> None:
    batch = np.full((3, 3, 5, 7), 9, np.float32)
    cpu.preprocess(np.full((10, 12, 3), 50, np.uint8), batch[1], *PLAIN)
    np.testing.assert_allclose(batch[1], 50, rtol=1e-6)
    assert (batch[[0, 2]] == 9).all()


def test_a_flipped_image_is_read_in_its_order() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
    np.testing.assert_array_equal(
        levels(image[::-1, ::-1], 9, 8), levels(image, 9, 8)[:, ::-1, ::-1]
    )


@pytest.mark.parametrize("module", [cpu, reference])
def test_refuses_what_it_cannot_write_or_read(module: Any) -> None:
    image, out = np.zeros((4, 4, 3), np.uint8), np.zeros((3, 4, 4), np.float32)
    for wrong in (out[:, :, ::2], out.astype(np.float64), out[:2], out[0]):
        with pytest.raises(ValueError, match="out is"):
            module.preprocess(image, wrong, MEAN, STD)
    with pytest.raises(ValueError, match="expected"):
        module.preprocess(image.astype(np.float32), out, MEAN, STD)
    with pytest.raises(ValueError, match="positive"):
        module.preprocess(image, out, MEAN, (0.2, 0, 0.2))
    with pytest.raises(ValueError, match="positive"):
        module.preprocess(image, out, MEAN, (0.2, -1, 0.2))


def test_leaves_the_source_alone() -> None:
    planes = random_planes(np.random.default_rng(1), 9, 11, "bt709", False)
    before = [plane.copy() for plane in arrays(planes)]
    levels(planes, 4, 4)
    assert all((a == b).all() for a, b in zip(before, arrays(planes), strict=True))
