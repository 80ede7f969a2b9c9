"""Legend and status line: drawn alike in BGR and in planes, cut at the edge, never elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from rtseg.classes import CAMVID
from rtseg.errors import InputError
from rtseg.frame import Frame, Yuv420
from rtseg.kernels import cpu
from rtseg.overlay import Overlay, legend_sprite, put, status_sprite
from rtseg.segmentation import Segmentation


def blank(height: int, width: int) -> Yuv420:
    chroma = ((height + 1) // 2, (width + 1) // 2)
    return Yuv420(
        np.full((height, width), 120, np.uint8),
        np.full(chroma, 128, np.uint8),
        np.full(chroma, 128, np.uint8),
    )


@pytest.fixture
def answer() -> Segmentation:
    return Segmentation(np.full((240, 320), 255, np.uint8), CAMVID)


def test_planes_look_like_bgr(answer) -> None:
    planes, drawn = blank(240, 320), blank(240, 320)
    grey = cpu.to_bgr(planes)
    bgr = grey.copy()
    overlay = Overlay(CAMVID)
    overlay.paint(Frame(planes), answer, drawn, "status 12 fps")
    overlay.paint(Frame(grey), answer, bgr, "status 12 fps")
    assert np.abs(bgr.astype(int) - grey).max() > 50
    # Colours of swatches bleed into the half-resolution chroma around them: compare the luma.
    luma = blank(240, 320)
    cpu.from_bgr(bgr, luma)
    assert np.abs(luma.y.astype(int) - drawn.y).max() <= 2


def test_nothing_is_drawn_outside_the_panels(answer) -> None:
    image = np.full((240, 320, 3), 77, np.uint8)
    out = np.empty_like(image)
    Overlay(CAMVID, legend=False).paint(Frame(image), answer, out)
    assert (out == 77).all()
    Overlay(CAMVID).paint(Frame(image), answer, out)
    assert (out[:, 200:] == 77).all()
    assert (out[:60, :40] != 77).any()


def test_hidden_classes_show_the_frame() -> None:
    image = np.full((240, 320, 3), 77, np.uint8)
    labels = np.zeros((240, 320), np.uint8)
    labels[:, 160:] = 3
    out = np.empty_like(image)
    Overlay(CAMVID, alpha=1, visible=[3], legend=False).paint(
        Frame(image), Segmentation(labels, CAMVID), out
    )
    assert (out[:, :160] == 77).all()
    assert (out[:, 160:] == CAMVID.palette()[3]).all()


def test_the_legend_lists_what_is_visible() -> None:
    all_rows = tuple((c.name, c.colour) for c in CAMVID)
    assert legend_sprite(all_rows, 14).height > legend_sprite(all_rows[:3], 14).height
    assert status_sprite("a longer line", 14).width > status_sprite("a", 14).width


def test_a_sprite_is_cut_at_the_edge() -> None:
    out = np.zeros((20, 20, 3), np.uint8)
    put(out, status_sprite("much too long for this picture", 14), 10, 10)
    assert out[10:, 10:].any()
    assert not out[:10].any()


def test_tiny_pictures_get_no_legend() -> None:
    image = np.full((1, 1, 3), 50, np.uint8)
    out = np.empty_like(image)
    Overlay(CAMVID).paint(Frame(image), Segmentation(np.full((1, 1), 255, np.uint8), CAMVID), out)
    assert (out == 50).all()


@pytest.mark.parametrize("alpha", [-0.1, 1.1])
def test_alpha_out_of_range(alpha) -> None:
    with pytest.raises(InputError, match="opacity"):
        Overlay(CAMVID, alpha=alpha)
