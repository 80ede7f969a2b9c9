"""The confusion matrix against counting by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rtseg.metrics import ConfusionMatrix, count_pairs, iou

MAPS = hnp.arrays(np.uint8, (5, 6), elements=st.sampled_from([0, 1, 2, 3, 255]))


@given(MAPS, MAPS)
def test_iou_is_intersection_over_union_of_labelled_pixels(truth, prediction) -> None:
    matrix = ConfusionMatrix(4)
    matrix.add(truth, prediction)
    labelled = truth != 255
    for c, value in enumerate(matrix.iou()):
        hits = ((truth == c) & (prediction == c)).sum()
        union = (((truth == c) | (prediction == c)) & labelled).sum()
        if union:
            assert value == pytest.approx(hits / union)
        else:
            assert math.isnan(value)


def test_counts_add_up_over_images() -> None:
    matrix = ConfusionMatrix(2)
    matrix.add(np.array([[0, 1]], np.uint8), np.array([[0, 0]], np.uint8))
    matrix.add(np.array([[1, 255]], np.uint8), np.array([[1, 0]], np.uint8))
    assert matrix.iou().tolist() == [0.5, 0.5]
    assert matrix.miou() == 0.5
    assert matrix.pixel_accuracy() == pytest.approx(2 / 3)
    assert matrix.recall().tolist() == [1.0, 0.5]


def test_no_answer_counts_as_wrong() -> None:
    matrix = ConfusionMatrix(2)
    matrix.add(np.array([[0, 0]], np.uint8), np.array([[0, 255]], np.uint8))
    assert matrix.iou()[0] == 0.5
    assert matrix.pixel_accuracy() == 0.5


def test_nothing_counted_is_nan() -> None:
    matrix = ConfusionMatrix(2)
    matrix.add(np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8))
    assert math.isnan(matrix.miou())
    assert math.isnan(matrix.pixel_accuracy())


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="labels of"):
        ConfusionMatrix(2).add(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))


def test_mean_accuracy_is_over_classes_of_the_truth() -> None:
    matrix = ConfusionMatrix(3)
    matrix.add(np.array([[0, 0, 1, 1]], np.uint8), np.array([[0, 0, 1, 2]], np.uint8))
    assert matrix.recall()[:2].tolist() == [1.0, 0.5]
    assert matrix.mean_accuracy() == 0.75


@given(MAPS, MAPS)
def test_iou_of_many_matrices_at_once(truth, prediction) -> None:
    counts = [
        count_pairs(t, p, 4) for t, p in zip(truth[:, None], prediction[:, None], strict=True)
    ]
    together = iou(np.array(counts))
    for row, one in zip(together, counts, strict=True):
        matrix = ConfusionMatrix(4)
        matrix.counts = one
        np.testing.assert_array_equal(row, matrix.iou())
