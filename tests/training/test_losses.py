"""Losses of pixels against their formulas, written as loops over pixels in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rtseg.training.losses import (  # noqa: E402
    at_labels,
    cross_entropy,
    focal,
    ohem_cross_entropy,
)

CLASSES = 4
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64)


def batch(seed: int = 0, *, classes: int = CLASSES):
    """Logits (2, C, 5, 6) float64 and labels (2, 5, 6); some pixels are ignored, class 2 absent."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 1, 3, 255], (2, 5, 6), p=[0.4, 0.3, 0.2, 0.1])
    logits = rng.normal(0, 2, (2, classes, 5, 6))
    return torch.from_numpy(logits), torch.from_numpy(labels)


def pixels(logits, labels):
    """(index, probabilities (C,), label) of each labelled pixel."""
    logits, labels = logits.numpy(), labels.numpy()
    for n, y, x in np.ndindex(labels.shape):
        if labels[n, y, x] != 255:
            e = np.exp(logits[n, :, y, x] - logits[n, :, y, x].max())
            yield (n, y, x), e / e.sum(), labels[n, y, x]


def weighted_mean(pairs) -> float:
    total = sum(w * value for w, value in pairs)
    return total / sum(w for w, _ in pairs)


def test_cross_entropy_is_the_mean_over_labelled_pixels() -> None:
    logits, labels = batch()
    expected = np.mean([-math.log(p[c]) for _, p, c in pixels(logits, labels)])
    assert cross_entropy(logits, labels).item() == pytest.approx(expected, rel=1e-12)


def test_class_and_pixel_weights_multiply_and_divide_by_their_sum() -> None:
    logits, labels = batch()
    by_pixel = torch.rand(2, 5, 6, dtype=torch.float64)
    expected = weighted_mean([
        (WEIGHTS[c].item() * by_pixel[at].item(), -math.log(p[c]))
        for at, p, c in pixels(logits, labels)
    ])  # fmt: skip
    loss = cross_entropy(logits, labels, WEIGHTS, pixel_weights=by_pixel)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("factor", [1e-3, 7.0])
def test_a_common_factor_of_the_weights_changes_nothing(factor) -> None:
    logits, labels = batch()
    for loss in (cross_entropy, focal, ohem_cross_entropy):
        scaled = loss(logits, labels, factor * WEIGHTS)
        assert scaled.item() == pytest.approx(loss(logits, labels, WEIGHTS).item(), rel=1e-12)


def test_weights_are_those_of_torch() -> None:
    logits, labels = batch()
    theirs = torch.nn.functional.cross_entropy(logits, labels, weight=WEIGHTS, ignore_index=255)
    torch.testing.assert_close(cross_entropy(logits, labels, WEIGHTS), theirs)


def test_label_smoothing_spreads_a_share_over_all_classes() -> None:
    logits, labels = batch()
    s = 0.2
    expected = weighted_mean([
        (WEIGHTS[c].item(), -(1 - s) * math.log(p[c]) - s / CLASSES * np.log(p).sum())
        for _, p, c in pixels(logits, labels)
    ])  # fmt: skip
    loss = cross_entropy(logits, labels, WEIGHTS, smoothing=s)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_follows_its_formula(gamma) -> None:
    logits, labels = batch()
    expected = weighted_mean([
        (WEIGHTS[c].item(), -((1 - p[c]) ** gamma) * math.log(p[c]))
        for _, p, c in pixels(logits, labels)
    ])  # fmt: skip
    loss = focal(logits, labels, WEIGHTS, gamma=gamma)
    assert loss.item() == pytest.approx(expected, rel=1e-10)


def test_focal_of_gamma_0_is_cross_entropy() -> None:
    logits, labels = batch()
    torch.testing.assert_close(
        focal(logits, labels, WEIGHTS, gamma=0.0), cross_entropy(logits, labels, WEIGHTS)
    )


@pytest.mark.parametrize(("threshold", "min_kept"), [(0.7, 0), (0.3, 4), (0.01, 20), (0.7, 1000)])
def test_ohem_keeps_the_hard_pixels_or_the_hardest(threshold, min_kept) -> None:
    logits, labels = batch()
    found = sorted(pixels(logits, labels), key=lambda pixel: pixel[1][pixel[2]])
    below = sum(p[c] < threshold for _, p, c in found)
    kept = found[: max(below, min_kept)]
    expected = weighted_mean([(WEIGHTS[c].item(), -math.log(p[c])) for _, p, c in kept])
    loss = ohem_cross_entropy(logits, labels, WEIGHTS, threshold=threshold, min_kept=min_kept)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_ohem_keeps_exactly_min_kept_of_equal_pixels() -> None:
    logits = torch.zeros(1, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    ohem_cross_entropy(
        logits, torch.zeros(1, 2, 2, dtype=torch.long), threshold=0.1, min_kept=3
    ).backward()
    assert int((logits.grad[0, 0] != 0).sum()) == 3


def test_ohem_without_a_hard_pixel_is_0() -> None:
    logits, labels = batch()
    assert ohem_cross_entropy(logits, labels, threshold=1e-12, min_kept=0).item() == 0


# What `at_labels` does for all losses


def test_logits_are_upsampled_bilinearly_between_pixel_centres() -> None:
    row = torch.tensor([0.0, 4.0]).view(1, 1, 1, 2)
    up = at_labels(row, torch.zeros(1, 1, 4, dtype=torch.long))
    assert up.flatten().tolist() == [0.0, 1.0, 3.0, 4.0]


def test_float64_stays_and_the_rest_becomes_float32() -> None:
    labels = torch.zeros(1, 2, 2, dtype=torch.long)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert at_labels(torch.zeros(1, 3, 1, 1, dtype=dtype), labels).dtype == torch.float32
    logits = torch.zeros(1, 3, 2, 2, dtype=torch.float64)
    assert at_labels(logits, labels) is logits


@pytest.mark.parametrize("shape", [(2, 2), (1, 1, 2, 2), (2, 2, 2)])
def test_labels_of_another_shape_are_refused(shape) -> None:
    with pytest.raises(ValueError, match=r"expected \(N, H, W\)"):
        at_labels(torch.zeros(1, 3, 2, 2), torch.zeros(shape, dtype=torch.long))
