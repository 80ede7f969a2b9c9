"""Counts and class weights against numbers worked out by hand."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from rtseg.errors import RecipeError
from rtseg.training.class_weights import (
    count_classes,
    inverse_frequency_weights,
    log_frequency_weights,
    median_frequency_weights,
)

# Class 0: 6 pixels in both maps; 1: 3 in the first; 2: 1 in the second; 3: absent; 2 ignored.
MAPS = [
    np.array([[0, 0, 0, 1], [1, 1, 255, 255]], np.uint8),
    np.array([[0, 0, 0, 2]], np.uint8),
]
SCHEMES = [log_frequency_weights, inverse_frequency_weights, median_frequency_weights]


def test_counts() -> None:
    counts = count_classes(MAPS, 4)
    assert counts.pixels.tolist() == [6, 3, 1, 0]
    assert counts.images.tolist() == [2, 1, 1, 0]
    assert counts.area.tolist() == [12, 8, 4, 0]
    assert counts.share().tolist() == [0.6, 0.3, 0.1, 0.0]


def test_maps_may_be_of_any_integer_type() -> None:
    for dtype in (np.uint8, np.int32, np.int64):
        counts = count_classes((m.astype(dtype) for m in MAPS), 4)
        assert counts.pixels.tolist() == [6, 3, 1, 0]


@pytest.mark.parametrize("wrong", [4, 254, -1])
def test_an_id_that_is_no_class_is_an_error(wrong) -> None:
    with pytest.raises(RecipeError, match=f"{wrong}.*expected 0–3"):
        count_classes([np.array([[wrong, wrong, 255]], np.int16)], 4)


@pytest.mark.parametrize("offset", [1.10, 1.02])
def test_log_weights(offset) -> None:
    weights = log_frequency_weights(count_classes(MAPS, 4), offset=offset)
    expected = [1 / math.log(offset + p) for p in (0.6, 0.3, 0.1, 0.0)]
    assert weights.tolist() == pytest.approx(expected, rel=1e-6)


def test_inverse_weights() -> None:
    weights = inverse_frequency_weights(count_classes(MAPS, 4))
    assert weights.tolist() == pytest.approx([1 / 1.8, 1 / 0.9, 1 / 0.3, 1 / 0.3])
    assert sum(p * w for p, w in zip((0.6, 0.3, 0.1), weights, strict=False)) == pytest.approx(1)


def test_median_frequency_weights() -> None:
    # f = 6/12, 3/8, 1/4; their median is 3/8.
    weights = median_frequency_weights(count_classes(MAPS, 4))
    assert weights.tolist() == pytest.approx([0.75, 1.0, 1.5, 1.5])


def test_the_median_of_an_even_number_of_classes_is_between_the_middle_two() -> None:
    weights = median_frequency_weights(count_classes([np.array([[0, 0, 0, 1]])], 2))
    assert weights.tolist() == pytest.approx([0.5 / 0.75, 0.5 / 0.25])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_absent_classes_get_the_largest_weight(scheme) -> None:
    weights = scheme(count_classes(MAPS, 4))
    assert weights.dtype == np.float32
    assert np.isfinite(weights).all()
    assert weights[3] == weights.max()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("maps", [[], [np.full((2, 2), 255, np.uint8)]])
def test_all_classes_weigh_the_same_where_nothing_is_labelled(scheme, maps) -> None:
    weights = scheme(count_classes(maps, 3))
    assert np.isfinite(weights).all()
    assert weights.min() == weights.max() > 0


def test_counting_and_recipes_need_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import rtseg.training.class_weights, rtseg.training.recipe, rtseg.cli.data_weights"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
