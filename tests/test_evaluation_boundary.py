"""The boundary F-score against distances that are worked out one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rtseg.evaluation.boundary import BoundaryScores, boundary, boundary_f, disc

MAPS = hnp.arrays(np.uint8, (7, 9), elements=st.sampled_from([0, 1, 2, 255]))
TOLERANCES = st.sampled_from([0, 1, 1.5, 2, 3])


def points(labels: np.ndarray, c: int) -> list[tuple[int, int]]:
    """Boundary pixels of a class, by looking at each neighbour."""
    height, width = labels.shape
    found = []
    for y, x in zip(*np.nonzero(labels == c), strict=True):
        near = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        inside = [(j, i) for j, i in near if 0 <= j < height and 0 <= i < width]
        if any(labels[p] not in (c, 255) for p in inside):
            found.append((int(y), int(x)))
    return found


def share(own: list, other: list, tolerance: float) -> float:
    return sum(any(math.dist(p, q) <= tolerance for q in other) for p in own) / max(len(own), 1)


def reference(truth: np.ndarray, prediction: np.ndarray, c: int, tolerance: float) -> float:
    known = points(truth, c)
    found = points(np.where(truth == 255, 255, prediction), c)
    if not known and not found:
        return math.nan
    r, p = share(known, found, tolerance), share(found, known, tolerance)
    return 2 * p * r / (p + r) if p + r else 0.0


@settings(max_examples=60)
@given(MAPS, MAPS, TOLERANCES)
def test_equal_to_brute_force(truth, prediction, tolerance) -> None:
    expected = [reference(truth, prediction, c, tolerance) for c in range(3)]
    got = boundary_f(truth, prediction, 3, tolerance)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("classes", [4, 19, 150])
def test_any_number_of_classes(classes) -> None:
    rng = np.random.default_rng(classes)
    truth, prediction = (
        rng.integers(0, classes, (4, 5), np.uint8).repeat(3, 0).repeat(3, 1) for _ in "ab"
    )
    prediction[:6] = truth[:6]
    got = boundary_f(truth, prediction, classes, 2)
    expected = [reference(truth, prediction, c, 2) for c in range(classes)]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
    assert np.nanmax(got) > 0


def test_a_shift_within_the_tolerance_is_perfect_and_beyond_it_is_not() -> None:
    truth, three, four = (np.repeat(np.uint8([0, 1]), [n, 40 - n])[None].repeat(20, 0)
                          for n in (20, 23, 24))  # fmt: skip
    assert boundary_f(truth, three, 2).tolist() == [1.0, 1.0]
    assert boundary_f(truth, four, 2).tolist() == [0.0, 0.0]


def test_a_disc_is_round() -> None:
    steps = disc(3)
    assert len(steps) == len(set(steps)) == 29
    assert {math.hypot(*step) for step in steps if math.hypot(*step) > 2.9} == {3.0}
    assert disc(0) == [(0, 0)]


def test_neither_the_edge_of_the_image_nor_ignored_pixels_are_boundaries() -> None:
    labels = np.zeros((6, 6), np.uint8)
    assert not boundary(labels).any()
    labels[2:4, 2:4] = 255
    assert not boundary(labels).any()
    prediction = np.zeros((6, 6), np.uint8)
    prediction[2:4, 2:4] = 1  # where nothing is known
    assert np.isnan(boundary_f(labels, prediction, 2)).all()


def test_no_answer_has_no_boundary() -> None:
    truth = np.repeat(np.uint8([0, 1]), 5)[None].repeat(4, 0)
    assert boundary_f(truth, np.full_like(truth, 255), 2).tolist() == [0.0, 0.0]


def test_images_are_averaged_for_each_class_and_then_the_classes() -> None:
    halves = np.repeat(np.uint8([0, 1]), 10)[None].repeat(4, 0)
    thirds = np.repeat(np.uint8([0, 1, 2]), [10, 5, 5])[None].repeat(4, 0)
    scores = BoundaryScores(4)
    scores.add(halves, halves)  # 1, 1, –, –
    scores.add(halves, thirds)  # 1, < 1, 0, –
    second = boundary_f(halves, thirds, 4)
    assert second[[0, 2]].tolist() == [1.0, 0.0]
    assert 0 < second[1] < 1
    np.testing.assert_array_equal(scores.per_class(), [1.0, (1 + second[1]) / 2, 0.0, np.nan])
    assert scores.mean() == pytest.approx((1 + (1 + second[1]) / 2) / 3)
    assert math.isnan(BoundaryScores(4).mean())


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="labels of"):
        boundary_f(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), 2)
