"""Frames, label sets and segmentations check what they are given."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from rtseg.classes import CAMVID, Label, LabelSet
from rtseg.errors import InputError
from rtseg.frame import Frame, Yuv420
from rtseg.segmentation import Segmentation


def planes(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    chroma = ((height + 1) // 2, (width + 1) // 2)
    return (
        np.zeros((height, width), np.uint8),
        np.zeros(chroma, np.uint8),
        np.zeros(chroma, np.uint8),
    )


def test_size_and_time_of_a_frame() -> None:
    frame = Frame(np.zeros((7, 9, 3), np.uint8), index=4, pts=1001, time_base=Fraction(1, 30000))
    assert (frame.width, frame.height) == (9, 7)
    assert frame.seconds == pytest.approx(1001 / 30000)
    assert Frame(np.zeros((1, 1, 3), np.uint8)).seconds is None


def test_odd_planes_round_chroma_up() -> None:
    image = Yuv420(*planes(5, 7))
    assert (image.width, image.height) == (7, 5)
    assert image.u.shape == (3, 4)


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32),
     np.zeros((0, 4, 3), np.uint8)],
)  # fmt: skip
def test_a_frame_refuses_what_is_no_bgr_image(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected \(H, W, 3\) uint8"):
        Frame(image)


def test_planes_refuse_wrong_chroma() -> None:
    y, u, v = planes(4, 6)
    with pytest.raises(ValueError, match=r"expected \(2, 3\)"):
        Yuv420(y, u[:1], v)


def test_label_set_finds_classes_and_groups() -> None:
    assert CAMVID.ids(["road", "vulnerable"]) == (3, 9, 10)
    with pytest.raises(InputError, match="unknown class 'lorry'; classes are sky, building"):
        CAMVID.ids(["lorry"])


def test_label_set_refuses_gaps_and_double_names() -> None:
    with pytest.raises(ValueError, match="in order"):
        LabelSet("x", (Label(1, "a", (0, 0, 0), "sky"),))
    with pytest.raises(ValueError, match="unique"):
        LabelSet("x", (Label(0, "a", (0, 0, 0), "sky"), Label(1, "a", (0, 0, 0), "sky")))


def test_palette_is_bgr_by_id() -> None:
    table = CAMVID.palette()
    assert table.shape == (256, 3)
    for label in CAMVID:
        assert tuple(table[label.id][::-1]) == label.colour
    assert not table[len(CAMVID) :].any()


def test_fractions_are_exact_shares() -> None:
    labels = np.zeros((4, 5), np.uint8)
    labels[0] = 3
    labels[1, :2] = 255
    shares = Segmentation(labels, CAMVID).fractions()
    assert shares["road"] == 5 / 20
    assert shares["sky"] == 13 / 20
    assert sum(shares.values()) == pytest.approx(18 / 20)


def test_overlay_shows_the_class_colour_and_leaves_the_frame() -> None:
    image = np.full((6, 8, 3), 100, np.uint8)
    labels = np.full((6, 8), 3, np.uint8)
    labels[:, 4:] = 255
    shown = Segmentation(labels, CAMVID).overlay(image, alpha=1.0)
    assert (shown[:, :4] == CAMVID.palette()[3]).all()
    assert (shown[:, 4:] == 100).all()
    assert (image == 100).all()
