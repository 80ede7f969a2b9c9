"""One-hot targets there and back, and U-Net's border weights against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from hypothesis.extra import numpy as hnp  # noqa: E402

from rtseg.training.targets import (  # noqa: E402
    border_term,
    border_weights,
    from_one_hot,
    one_hot,
)

IDS = st.sampled_from([0, 1, 2, 3, 4, 255])
BATCHES = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5), elements=IDS)

# One-hot


@given(BATCHES)
def test_one_hot_and_back_is_exact(labels) -> None:
    hot = one_hot(torch.from_numpy(labels), 5)
    assert hot.shape == (labels.shape[0], 5, *labels.shape[1:])
    assert np.array_equal(from_one_hot(hot).numpy(), labels)


@given(BATCHES)
def test_one_hot_is_1_at_the_class_alone(labels) -> None:
    hot = one_hot(torch.from_numpy(labels).long(), 5, dtype=torch.float64).numpy()
    for c in range(5):
        assert np.array_equal(hot[:, c], (labels == c).astype(np.float64))


def test_ignored_pixels_are_all_0() -> None:
    assert one_hot(torch.full((1, 2, 2), 255), 3).abs().sum() == 0


def test_soft_targets_give_the_largest_class() -> None:
    soft = torch.tensor([0.2, 0.5, 0.3]).view(1, 3, 1, 1)
    assert from_one_hot(soft).tolist() == [[[1]]]


@pytest.mark.parametrize("wrong", [3, -1, 254])
def test_one_hot_refuses_ids_that_are_no_class(wrong) -> None:
    with pytest.raises(ValueError, match="expected 0–2"):
        one_hot(torch.tensor([[[0, wrong]]]), 3)


# Border weights


def components(labels: np.ndarray, things: tuple[int, ...]) -> list[list[tuple[int, int]]]:
    """Pixels of each 8-connected patch of one class, by flood fill."""
    left = {(y, x) for y, x in np.ndindex(labels.shape) if labels[y, x] in things}
    found = []
    while left:
        patch, front = [], [left.pop()]
        while front:
            y, x = front.pop()
            patch.append((y, x))
            for dy, dx in np.ndindex(3, 3):
                near = (y + dy - 1, x + dx - 1)
                if near in left and labels[near] == labels[y, x]:
                    left.remove(near)
                    front.append(near)
        found.append(patch)
    return found


def brute_force(labels, things, w0: float, sigma: float) -> np.ndarray:
    term = np.zeros(labels.shape)
    patches = components(labels, things)
    if len(patches) < 2:
        return term
    for y, x in np.ndindex(labels.shape):
        distances = [min(math.hypot(y - v, x - u) for v, u in patch) for patch in patches]
        d1, d2 = sorted(distances)[:2]
        term[y, x] = w0 * math.exp(-((d1 + d2) ** 2) / (2 * sigma**2))
    return term


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sigma", [0.4, 2.0, 5.0])
def test_the_border_term_is_that_of_brute_force(seed, sigma) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 1, 2, 255], (13, 16), p=[0.8, 0.08, 0.08, 0.04]).astype(np.uint8)
    assert len(components(labels, (1, 2))) > 2
    expected = brute_force(labels, (1, 2), 10.0, sigma)
    term = border_term(labels, (1, 2), w0=10.0, sigma=sigma)
    assert term.dtype == np.float32
    np.testing.assert_allclose(term, expected, rtol=1e-5, atol=1e-6)


def test_the_gap_between_two_things_weighs_most() -> None:
    labels = np.zeros((5, 40), np.int64)
    labels[1:4, 2:8] = labels[1:4, 9:15] = 7
    term = border_term(labels, {7}, w0=10.0, sigma=5.0)
    assert np.unravel_index(term.argmax(), term.shape)[1] in (7, 8, 9)
    assert term[2, 8] == pytest.approx(10 * math.exp(-4 / 50))
    assert term[2, 39] < 1e-5


def test_touching_patches_of_two_classes_are_two_components() -> None:
    labels = np.array([[1, 1, 2, 2]])
    assert border_term(labels, (1, 2), w0=1.0, sigma=1.0)[0, 1] == pytest.approx(math.exp(-0.5))
    assert not border_term(np.where(labels == 2, 1, labels), (1, 2)).any()


def test_patches_that_touch_at_a_corner_are_one() -> None:
    assert not border_term(np.array([[1, 0], [0, 1]]), (1,)).any()


@pytest.mark.parametrize("things", [(), (1,), (9,)])
def test_fewer_than_two_components_have_no_border(things) -> None:
    labels = np.zeros((6, 6), np.uint8)
    labels[2:4, 2:4] = 1
    labels[5, 5] = 2
    assert not border_term(labels, things).any()


def test_weights_add_the_class_weight_and_leave_out_ignored_pixels() -> None:
    labels = np.array([[1, 0, 1, 255, 0]], np.uint8)
    table = np.array([0.5, 3.0], np.float32)
    weights = border_weights(labels, (1,), w0=4.0, sigma=2.0, class_weights=table)
    term = brute_force(labels, (1,), 4.0, 2.0)
    np.testing.assert_allclose(weights[0, :3], table[[1, 0, 1]] + term[0, :3], rtol=1e-6)
    assert weights[0, 3] == 0
    assert weights[0, 4] == pytest.approx(0.5 + term[0, 4])
    assert weights.dtype == np.float32
    plain = border_weights(labels, (1,), w0=4.0, sigma=2.0)
    np.testing.assert_allclose(plain[0, :3], 1 + term[0, :3], rtol=1e-6)
