from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import PADDING, SEEDS, SMALL, padded
from numpy.typing import NDArray

from rtseg.kernels import cpu, reference

Floats = NDArray[np.float32]
OUTPUTS = st.tuples(st.integers(1, 70), st.integers(1, 70))


def random_logits(seed: int, classes: int, size: tuple[int, int], scale: float = 1) -> Floats:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(classes, *size)) * scale).astype(np.float32)


def smooth_logits(seed: int, classes: int, size: tuple[int, int]) -> Floats:
    """Regions of several cells, so that most cells are uniform."""
    coarse = random_logits(seed, classes, (3, 4), 5)
    return np.stack([cv2.resize(c, size[::-1], interpolation=cv2.INTER_CUBIC) for c in coarse])


def labels_of(logits: Floats, size: tuple[int, int]) -> NDArray[np.uint8]:
    labels = np.full(size, 99, np.uint8)
    assert cpu.postprocess(logits, labels)
    return labels


def assert_largest(logits: Floats, labels: NDArray[np.uint8]) -> None:
    """Every label attains the maximum of the dense float32 result, bit by bit."""
    dense = reference.resize(logits, *labels.shape)
    assert labels.max() < len(logits)
    chosen = np.take_along_axis(dense, labels[None].astype(np.intp), axis=0)[0]
    np.testing.assert_array_equal(chosen, dense.max(axis=0))


@given(SEEDS, st.integers(1, 20), SMALL, OUTPUTS, st.sampled_from([1e-6, 1, 1e30]))
def test_every_label_is_the_largest(
    seed: int, classes: int, size: tuple[int, int], to: tuple[int, int], scale: float
) -> None:
    logits = random_logits(seed, classes, size, scale)
    assert_largest(logits, labels_of(logits, to))


@given(SEEDS, st.integers(2, 20), st.tuples(st.integers(3, 30), st.integers(3, 30)))
def test_large_regions(seed: int, classes: int, size: tuple[int, int]) -> None:
    logits = smooth_logits(seed, classes, size)
    labels = labels_of(logits, (size[0] * 8 + 3, size[1] * 8 - 5))
    assert_largest(logits, labels)
    assert (labels == reference.resize(logits, *labels.shape).argmax(axis=0)).mean() > 0.999


@given(SEEDS, st.integers(1, 6), SMALL, st.sampled_from([(1, 1), (2, 4), (8, 8), (4, 1)]))
def test_the_lowest_of_equals_wins(
    seed: int, classes: int, size: tuple[int, int], factor: tuple[int, int]
) -> None:
    # Small integers at power-of-two scales: float32 is exact, so every tie is a true one.
    rng = np.random.default_rng(seed)
    logits = rng.integers(-2, 3, (classes, *size)).astype(np.float32)
    labels = labels_of(logits, (size[0] * factor[0], size[1] * factor[1]))
    dense = reference.resize(logits, *labels.shape)
    np.testing.assert_array_equal(labels, dense.argmax(axis=0))


@given(SEEDS, SMALL, OUTPUTS)
def test_the_reference_resizes_as_opencv(
    seed: int, size: tuple[int, int], to: tuple[int, int]
) -> None:
    plane = random_logits(seed, 1, size)[0]
    want = cv2.resize(plane, to[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(reference.resize(plane, *to), want, atol=1e-4)


@pytest.mark.parametrize("to", [(1, 1), (5, 3), (13, 9), (80, 77), (144, 90)])
def test_the_reference_resizes_as_torch(to: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    logits = random_logits(5, 4, (18, 11))
    want = torch.nn.functional.interpolate(
        torch.from_numpy(logits)[None], size=to, mode="bilinear", align_corners=False
    )[0].numpy()
    np.testing.assert_allclose(reference.resize(logits, *to), want, atol=1e-5)


@given(SEEDS, st.integers(1, 5), SMALL, OUTPUTS, st.sampled_from([np.nan, np.inf, -np.inf]))
def test_one_logit_that_is_no_number(
    seed: int, classes: int, size: tuple[int, int], to: tuple[int, int], wrong: float
) -> None:
    logits = random_logits(seed, classes, size)
    logits[tuple(np.random.default_rng(seed).integers(logits.shape))] = wrong
    for module in (cpu, reference):
        labels = np.zeros(to, np.uint8)
        assert not module.postprocess(logits, labels)
        assert (labels == 255).all()


@given(SEEDS, st.integers(1, 20), SMALL, OUTPUTS, st.sampled_from([0.1, 3, 1e6]))
def test_confidence_is_the_softmax_of_the_label(
    seed: int, classes: int, size: tuple[int, int], to: tuple[int, int], scale: float
) -> None:
    logits = random_logits(seed, classes, size, scale)
    values = reference.resize(logits, *to).astype(np.float64)
    share = 255 / np.exp(values - values.max(axis=0)).sum(axis=0)
    for module in (cpu, reference):
        labels, confidence = np.zeros(to, np.uint8), padded(np.zeros(to, np.uint8))
        assert module.postprocess(logits, labels, confidence=confidence)
        assert_largest(logits, labels)
        assert np.abs(confidence - share).max() <= 0.5 + 1e-3


def test_confidence_by_hand() -> None:
    logits = np.log(np.array([[[1.0]], [[3.0]]])).astype(np.float32)
    confidence = np.zeros((2, 3), np.uint8)
    for module in (cpu, reference):
        assert module.postprocess(logits, np.zeros((2, 3), np.uint8), confidence=confidence)
        assert (confidence == 191).all()  # 3 / 4 of 255


@pytest.mark.parametrize("module", [cpu, reference])
def test_there_is_no_confidence_in_what_is_no_number(module: Any) -> None:
    logits, labels, confidence = np.zeros((2, 3, 3), np.float32), *np.full((2, 4, 4), 9, np.uint8)
    logits[1, 2, 2] = np.nan
    assert not module.postprocess(logits, labels, confidence=confidence)
    assert (confidence == 0).all()


@pytest.mark.parametrize("module", [cpu, reference])
def test_confidence_has_the_size_of_the_labels(module: Any) -> None:
    logits, labels = np.zeros((2, 3, 3), np.float32), np.zeros((4, 4), np.uint8)
    for wrong in (np.zeros((4, 5), np.uint8), np.zeros((4, 4), np.float32)):
        with pytest.raises(ValueError, match="confidence"):
            module.postprocess(logits, labels, confidence=wrong)


@pytest.mark.parametrize("classes", [1, 2, 254])
def test_class_counts(classes: int) -> None:
    logits = random_logits(classes, classes, (6, 7))
    assert_largest(logits, labels_of(logits, (20, 31)))
    for k in (0, classes - 1):
        one = np.zeros((classes, 1, 1), np.float32)
        one[k] = 1
        assert (labels_of(one, (3, 2)) == k).all()


def test_a_class_that_wins_only_between_the_corners() -> None:
    # Class 2 is second at both ends of a row, and largest in the middle.
    logits = np.array([[[9, 0]], [[0, 9]], [[7, 7]]], np.float32)
    labels = labels_of(logits, (1, 16))[0]
    assert labels[0] == 0
    assert labels[-1] == 1
    assert (labels[7:9] == 2).all()


def test_padded_rows_are_filled_and_nothing_else() -> None:
    logits = random_logits(0, 3, (4, 5))
    labels = padded(np.zeros((16, 21), np.uint8), fill=77)
    assert cpu.postprocess(logits, labels)
    np.testing.assert_array_equal(labels, labels_of(logits, (16, 21)))
    whole = np.lib.stride_tricks.as_strided(labels, (16, 21 + PADDING))
    assert (whole[:, 21:] == 77).all()


def test_logits_in_any_memory_order() -> None:
    logits = random_logits(1, 4, (6, 8))
    other = np.asfortranarray(logits)
    other.flags.writeable = False
    np.testing.assert_array_equal(labels_of(other, (12, 16)), labels_of(logits, (12, 16)))
    assert logits.flags.writeable


@pytest.mark.parametrize("module", [cpu, reference])
def test_refuses_other_shapes_and_types(module: Any) -> None:
    logits, labels = np.zeros((3, 4, 4), np.float32), np.zeros((8, 8), np.uint8)
    for wrong in (logits.astype(np.float64), logits[0], logits[:0], np.zeros((255, 1, 1), "f4")):
        with pytest.raises(ValueError, match="expected"):
            module.postprocess(wrong, labels)
    for wrong in (labels.astype(np.int64), labels[0], labels[:0]):
        with pytest.raises(ValueError, match="expected"):
            module.postprocess(logits, wrong)
