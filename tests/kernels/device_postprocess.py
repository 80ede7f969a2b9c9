"""Labels and confidence against the reference. Run by test_cuda_simulated.py, and on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_cases import Padded, watch_launches
from numba import cuda
from numpy.typing import NDArray

from rtseg.kernels import _cuda_labels, reference
from rtseg.kernels import cuda as kernels
from rtseg.kernels._cuda_jit import SIMULATED

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    watch_launches(monkeypatch)


class Outputs:
    """Labels, verdict and confidence on the device, with other content than will be written."""

    def __init__(self, size: tuple[int, int], extra: int = 0) -> None:
        self.labels = Padded(np.full(size, 99, np.uint8), extra)
        self.confidence = Padded(np.full(size, 98, np.uint8), extra)
        self.valid = cuda.to_device(np.full(1, 7, np.int32))
        self.stream = cuda.stream()

    def label(self, logits: Floats, confidence: bool = False) -> tuple[Bytes, int]:
        kernels.postprocess(
            cuda.to_device(logits), self.labels.array, stream=self.stream, valid=self.valid,
            confidence=self.confidence.array if confidence else None,
        )  # fmt: skip
        self.stream.synchronize()
        return self.labels.read(), int(self.valid.copy_to_host()[0])


def exact_logits(seed: int, classes: int, size: tuple[int, int]) -> Floats:
    """Small integers: at power-of-two scales float32 is exact, and every tie a true one."""
    rng = np.random.default_rng(seed)
    return rng.integers(-2, 3, (classes, *size)).astype(np.float32)


def smooth_logits(seed: int, classes: int, size: tuple[int, int]) -> Floats:
    """Regions of several cells, so that some cells are uniform and some are not."""
    coarse = np.random.default_rng(seed).normal(size=(classes, 2, 3)).astype(np.float32)
    return np.ascontiguousarray(reference.resize(coarse, *size))


def labels_of(logits: Floats, size: tuple[int, int], extra: int = 0) -> Bytes:
    labels, valid = Outputs(size, extra).label(logits)
    assert valid == 1
    return labels


def assert_largest(logits: Floats, labels: Bytes) -> None:
    """Every label attains the maximum of the dense float32 result, bit by bit."""
    dense = reference.resize(logits, *labels.shape)
    assert labels.max() < len(logits)
    chosen = np.take_along_axis(dense, labels[None].astype(np.intp), axis=0)[0]
    np.testing.assert_array_equal(chosen, dense.max(axis=0))


@pytest.mark.parametrize("classes", [1, 2, 11, 19])
@pytest.mark.parametrize(
    ("size", "factor"), [((4, 6), (8, 8)), ((4, 6), (2, 4)), ((7, 5), (1, 1)), ((1, 1), (4, 8))]
)
def test_the_lowest_of_equals_wins(
    classes: int, size: tuple[int, int], factor: tuple[int, int]
) -> None:
    logits = exact_logits(classes, classes, size)
    labels = labels_of(logits, (size[0] * factor[0], size[1] * factor[1]))
    dense = reference.resize(logits, *labels.shape)
    np.testing.assert_array_equal(labels, dense.argmax(axis=0))


@pytest.mark.parametrize("classes", [2, 19])
@pytest.mark.parametrize("extra", [0, 1, 4])
@pytest.mark.parametrize(
    ("size", "to"),
    [((5, 7), (32, 48)), ((5, 7), (31, 47)), ((9, 11), (20, 19)), ((16, 24), (11, 9))],
)
def test_regions_at_any_scale(
    size: tuple[int, int], to: tuple[int, int], extra: int, classes: int
) -> None:
    logits = smooth_logits(sum(size), classes, size)
    assert_largest(logits, labels_of(logits, to, extra))


def test_what_skipping_gives_and_what_not_skipping_gives() -> None:
    """A whole tile in one class, then one with as many samples as pixels, where nothing is skipped:
    64 x 48 samples do not fit the memory for winners."""
    flat = np.stack([np.zeros((4, 6), np.float32), np.ones((4, 6), np.float32)])
    assert (labels_of(flat, (32, 48)) == 1).all()
    dense = smooth_logits(1, 3, (48, 64))
    assert_largest(dense, labels_of(dense, (16, 64)))


@pytest.mark.skipif(not SIMULATED, reason="compiled code cannot be watched")
def test_cells_of_one_class_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left and right half differ: no thread but those between them looks at the logits again."""
    looked = []
    four = _cuda_labels._four.py_func

    def counted(*arguments: Any) -> Any:
        looked.append(None)
        return four(*arguments)

    monkeypatch.setattr(_cuda_labels, "_four", counted)
    logits = np.zeros((3, 2, 6), np.float32)
    logits[1, :, :3], logits[2, :, 3:] = 1, 2
    labels = labels_of(logits, (16, 48))
    assert_largest(logits, labels)
    # The cell between columns 2 and 3 covers pixels 20 to 27: two of twelve threads in a row.
    assert len(looked) == 2 * 16


def test_several_tiles() -> None:
    logits = smooth_logits(2, 3, (4, 12))
    assert_largest(logits, labels_of(logits, (18, 131)))


def test_a_class_that_wins_only_between_the_corners() -> None:
    logits = np.array([[[9, 0]], [[0, 9]], [[7, 7]]], np.float32)
    labels = labels_of(logits, (1, 16))[0]
    assert (labels[0], labels[-1]) == (0, 1)
    assert (labels[7:9] == 2).all()


def test_many_classes() -> None:
    logits = smooth_logits(5, 254, (2, 3))
    logits[253, 0, 0] = 100
    labels = labels_of(logits, (4, 6))
    assert_largest(logits, labels)
    assert labels[0, 0] == 253


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [(0, 0, 0), (2, 3, 5), (11, 7, 11)])
def test_one_logit_that_is_no_number(wrong: float, at: tuple[int, int, int]) -> None:
    """Also one that no pixel looks at, and one that is not among the first 256; and the next frame
    is as if nothing had been."""
    size = (16, 131) if at == (0, 0, 0) else (3, 5)
    logits = smooth_logits(4, 12, (8, 12))
    broken = logits.copy()
    broken[at] = wrong
    outputs = Outputs(size, 3)
    labels, valid = outputs.label(broken, confidence=True)
    assert valid == 0
    assert (labels == 255).all()
    assert (outputs.confidence.read() == 0).all()
    labels, valid = outputs.label(logits)
    assert valid == 1
    assert_largest(logits, labels)


@pytest.mark.parametrize("classes", [1, 2, 19])
@pytest.mark.parametrize(("size", "to"), [((4, 6), (13, 21)), ((1, 1), (2, 3)), ((6, 9), (5, 4))])
def test_confidence_is_the_softmax(
    classes: int, size: tuple[int, int], to: tuple[int, int]
) -> None:
    logits = smooth_logits(classes, classes, size) * np.float32(3)
    outputs = Outputs(to, 2)
    labels, _ = outputs.label(logits, confidence=True)
    assert_largest(logits, labels)
    values = reference.resize(logits, *to).astype(np.float64)
    share = 255 / np.exp(values - values.max(axis=0)).sum(axis=0)
    assert np.abs(outputs.confidence.read() - share).max() <= 0.5 + 1e-3


def test_confidence_is_left_alone_unless_asked_for() -> None:
    outputs = Outputs((3, 4))
    outputs.label(exact_logits(0, 2, (2, 2)))
    assert (outputs.confidence.read() == 98).all()


def test_refuses_other_shapes_and_types() -> None:
    good: dict[str, Any] = {
        "logits": np.zeros((3, 4, 4), np.float32), "labels": np.zeros((8, 8), np.uint8),
        "valid": np.zeros(1, np.int32), "confidence": np.zeros((8, 8), np.uint8),
    }  # fmt: skip
    wrong = [
        ("logits", np.zeros((3, 4, 4))), ("logits", np.zeros((4, 4), np.float32)),
        ("logits", np.zeros((255, 1, 1), np.float32)), ("labels", np.zeros((8, 8), np.int32)),
        ("labels", np.zeros((8, 8, 1), np.uint8)), ("valid", np.zeros(1, np.int64)),
        ("valid", np.zeros(2, np.int32)), ("confidence", np.zeros((8, 9), np.uint8)),
        ("confidence", np.zeros((8, 8), np.float32)),
    ]  # fmt: skip
    for name, value in wrong:
        arrays = {k: cuda.to_device(v) for k, v in (good | {name: value}).items()}
        with pytest.raises(ValueError, match="expected"):
            kernels.postprocess(**arrays, stream=cuda.stream())
