"""Drawn streets: exact, repeatable, steady, and varied."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import pytest

from rtseg.classes import CAMVID
from rtseg.synthetic import Scene, labelled_frames

SKY, BUILDING, ROAD, PAVEMENT = CAMVID.ids(["sky", "building", "road", "pavement"])


@lru_cache
def street(seed: int) -> Scene:
    return Scene(160, 120, seed=seed)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(320, 240, seed=4)


def test_a_frame_is_an_image_and_labels_of_its_size(scene: Scene) -> None:
    image, labels = scene.render(0)
    assert (image.shape, image.dtype) == ((240, 320, 3), np.uint8)
    assert (labels.shape, labels.dtype) == ((240, 320), np.uint8)
    assert image.flags.c_contiguous
    assert labels.flags.c_contiguous


def test_a_frame_depends_on_nothing_drawn_before_it(scene: Scene) -> None:
    in_order = [scene.render(i) for i in range(4)]
    other = Scene(320, 240, seed=4)
    for index in (3, 0, 2, 2):
        image, labels = other.render(index)
        np.testing.assert_array_equal(image, in_order[index][0])
        np.testing.assert_array_equal(labels, in_order[index][1])


def test_a_caller_may_draw_on_what_it_got(scene: Scene) -> None:
    image, labels = scene.render(9)
    before = image.copy(), labels.copy()
    image[:], labels[:] = 0, 255
    again = scene.render(9)
    np.testing.assert_array_equal(again[0], before[0])
    np.testing.assert_array_equal(again[1], before[1])


def test_the_rate_sets_the_time_of_a_frame() -> None:
    fast, slow = Scene(96, 64, seed=2, fps=60), Scene(96, 64, seed=2, fps=30)
    np.testing.assert_array_equal(fast.render(20)[1], slow.render(10)[1])
    assert (fast.render(20)[1] != slow.render(20)[1]).any()


def test_all_classes_and_no_others_appear_in_one_drive(scene: Scene) -> None:
    seen = np.zeros(256, np.int64)
    for index in range(0, 1200, 100):
        seen += np.bincount(scene.render(index)[1].ravel(), minlength=256)
    assert np.flatnonzero(seen).tolist() == list(range(len(CAMVID)))


def test_streets_are_as_mixed_as_real_ones() -> None:
    labels = np.stack([labels for _, labels in labelled_frames(16, 96, 72, seed=1)])
    share = np.bincount(labels.ravel(), minlength=len(CAMVID)) / labels.size
    assert 0.2 < share[ROAD] < 0.5
    assert 0.1 < share[BUILDING] < 0.4
    assert 0.05 < share[SKY] < 0.3
    assert share.min() > 0.001


def test_neighbouring_frames_move_a_little(scene: Scene) -> None:
    for index in (30, 200, 777):
        (image, labels), (later, moved) = scene.render(index), scene.render(index + 1)
        changed = (labels != moved).mean()
        assert 0.0005 < changed < 0.12
        assert 0.3 < np.abs(image.astype(int) - later).mean() < 20


def test_the_street_comes_closer(scene: Scene) -> None:
    """A patch around the vanishing point, enlarged, looks like a later frame."""
    first, later = (cv2.GaussianBlur(scene.render(i)[0], (0, 0), 2).astype(int) for i in (100, 106))
    h, w = 120, 160
    inner = first[60:180, 80:240]

    def enlarged(factor: float) -> Any:
        matrix = np.array([[factor, 0, w / 2 * (1 - factor)], [0, factor, h / 2 * (1 - factor)]])
        return cv2.warpAffine(inner.astype(np.float32), matrix, (w, h), borderMode=1)

    errors = [np.abs(enlarged(f) - later[60:180, 80:240]).mean() for f in (0.85, 1.0, 1.08)]
    assert errors[2] < errors[1] < errors[0]


def test_sky_is_above_and_ground_below_the_horizon() -> None:
    for seed in range(3):
        _, labels = street(seed).render(50)
        assert not (labels[66:] == SKY).any()  # the horizon is at 42–50 % of the height
        assert not np.isin(labels[:48], [ROAD, PAVEMENT]).any()
        assert (labels[-1] == ROAD).mean() > 0.3


def test_labels_follow_the_pixels_of_a_known_edge() -> None:
    """Where the left kerb's labels turn from pavement to road, the picture turns from light to
    dark: the kerb is the lightest and the gutter the darkest of the ground."""
    profiles: list[Any] = []
    for seed in range(3):
        image, labels = Scene(480, 360, seed=seed).render(40)
        grey = image.mean(2)
        for y in range(225, 345, 2):
            edges = np.flatnonzero((labels[y, :-1] == PAVEMENT) & (labels[y, 1:] == ROAD))
            edges = edges[(edges > 6) & (edges < 225)]
            profiles += [grey[y, edge - 5 : edge + 7] for edge in edges]
    assert len(profiles) > 20
    assert np.mean([profile[4] - profile[7] > 8 for profile in profiles]) > 0.9
    steps = -np.diff(np.mean(profiles, 0))
    assert steps.argmax() == 5, steps  # steepest between the two pixels of the edge


def test_a_label_is_one_of_the_painted_ids_at_every_edge(scene: Scene) -> None:
    """Interpolation between two ids would leave lines of a third along their edges: buildings
    (1) between sky (0) and anything, signs (6) between trees (5) and fences (7) …"""
    _, labels = scene.render(60)
    mask = (labels == BUILDING).astype(np.uint8)
    solid = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    assert solid.sum() > 0.9 * mask.sum()


@pytest.mark.parametrize("size", [(64, 64), (65, 67), (64, 512), (1000, 64)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    image, labels = Scene(*size, seed=1).render(123)
    assert image.shape == (size[1], size[0], 3)
    assert labels.max() < len(CAMVID)


def test_late_frames_can_be_drawn() -> None:
    scene = Scene(96, 64)
    for index in (10**5, 10**7):
        assert scene.render(index)[1].max() < len(CAMVID)


def test_seeds_give_other_streets_in_other_light() -> None:
    frames = [street(seed).render(0) for seed in range(6)]
    for (image, labels), (other, labels_2) in itertools.pairwise(frames):
        assert (labels != labels_2).mean() > 0.1
        assert np.abs(image.astype(int) - other).mean() > 10
    brightness = [image.mean() for image, _ in frames]
    assert max(brightness) - min(brightness) > 20


@pytest.mark.parametrize(("width", "height", "fps"), [(63, 64, 30), (64, 0, 30), (64, 64, 0)])
def test_what_cannot_be_drawn_is_refused(width: int, height: int, fps: float) -> None:
    with pytest.raises(ValueError, match="expected 64x64"):
        Scene(width, height, fps=fps)


def test_labelled_frames_are_many_streets_and_repeatable() -> None:
    frames = list(labelled_frames(5, 96, 72, seed=5))
    again = list(labelled_frames(5, 96, 72, seed=5))
    assert len(frames) == 5
    for (image, labels), (image_2, labels_2) in zip(frames, again, strict=True):
        np.testing.assert_array_equal(image, image_2)
        np.testing.assert_array_equal(labels, labels_2)
    assert all((a[1] != b[1]).any() for a, b in itertools.pairwise(frames))
    other = next(iter(labelled_frames(1, 96, 72, seed=6)))
    assert (other[1] != frames[0][1]).any()
    assert list(labelled_frames(0, 96, 72)) == []
