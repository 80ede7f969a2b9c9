"""Evaluations and comparisons of predictors that are known exactly."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from rtseg.classes import CAMVID, LabelSet
from rtseg.evaluation import Comparison, Subject, compare, evaluate
from rtseg.evaluation.document import Ground, document
from rtseg.metrics import ConfusionMatrix

THREE = LabelSet("three", CAMVID.labels[:3])


def samples(count: int = 6) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """The image shows its labels in its first channel; a few pixels are ignored."""
    rng = np.random.default_rng(1)
    out = []
    for i in range(count):
        labels = rng.integers(0, 3, (8, 10), np.uint8).repeat(2, 0).repeat(2, 1)
        labels[0, : 2 * i] = 255
        out.append((f"image-{i}", np.stack([labels] * 3, 2), labels))
    return out


def perfect(image: np.ndarray) -> np.ndarray:
    return np.where(image[..., 0] == 255, np.uint8(0), image[..., 0])


def wrong_above(image: np.ndarray) -> np.ndarray:
    """Right but for the upper half, which is all class 2."""
    labels = perfect(image)
    labels[: len(labels) // 2] = 2
    return labels


def subject(**values: object) -> Subject:
    defaults = {
        "file": "m.onnx", "name": "m", "network": "n", "classes": THREE, "engine": "openvino",
        "version": "1", "precision": "f32", "device": "CPU", "input_size": (20, 16),
    }  # fmt: skip
    return Subject(**(defaults | values))


def test_a_perfect_predictor() -> None:
    result = evaluate(perfect, samples(), THREE)
    assert len(result) == 6
    assert result.names == [f"image-{i}" for i in range(6)]
    assert result.matrix.miou() == result.matrix.pixel_accuracy() == 1.0
    assert result.boundary.mean() == 1.0
    assert dict(result.resolutions) == {(20, 16): 6}
    assert result.image_miou().tolist() == [1.0] * 6


def test_images_add_up_to_one_matrix() -> None:
    result, matrix = evaluate(wrong_above, samples(), THREE), ConfusionMatrix(3)
    for _, image, truth in samples():
        matrix.add(truth, wrong_above(image))
    np.testing.assert_array_equal(result.matrix.counts, matrix.counts)
    assert result.counts.shape == (6, 3, 4)


def test_the_worst_come_first_and_unlabelled_ones_do_not() -> None:
    data = samples(3)
    data[1][2][:] = 255

    def predict(image: np.ndarray) -> np.ndarray:
        return wrong_above(image) if image is data[2][1] else perfect(image)

    result = evaluate(predict, data, THREE)
    assert math.isnan(result.image_miou()[1])
    assert result.worst(1) == [2]
    assert result.worst(9) == [2, 0]


def test_agreement_is_counted_on_labelled_pixels_and_on_all() -> None:
    comparison = Comparison(THREE)
    truth = np.array([[0, 1, 255, 255]], np.uint8)
    a, b = np.array([[0, 1, 2, 0]], np.uint8), np.array([[0, 2, 2, 0]], np.uint8)
    comparison.add("x", truth, a, b)
    assert comparison.agreement() == (0.5, 0.75)


def test_a_predictor_against_itself() -> None:
    comparison = compare(wrong_above, wrong_above, samples(), THREE)
    assert comparison.agreement() == (1.0, 1.0)
    assert comparison.miou_difference(resamples=50) == (0.0, 0.0, 0.0)
    assert comparison.iou_differences().tolist() == [0.0] * 3


def test_the_better_one_comes_out_better() -> None:
    comparison = compare(perfect, wrong_above, samples(), THREE)
    value, low, high = comparison.miou_difference(resamples=200)
    assert 0 < low <= value <= high < 1
    assert value == pytest.approx(1 - comparison.second.matrix.miou())
    assert (comparison.iou_differences() > 0).all()
    assert comparison.miou_difference(resamples=200) == (value, low, high)  # seeded
    assert comparison.miou_difference(resamples=200, seed=1)[1:] != (low, high)
    reverse = compare(wrong_above, perfect, samples(), THREE).miou_difference(resamples=200)
    np.testing.assert_allclose(reverse, (-value, -high, -low), atol=1e-12)


def test_the_interval_is_that_of_resampled_images() -> None:
    """Against resampling image by image, with another generator."""
    comparison = compare(perfect, wrong_above, samples(), THREE)
    rng, drawn = np.random.default_rng(9), []
    for _ in range(600):
        chosen = rng.integers(0, 6, 6)
        miou = []
        for result in (comparison.first, comparison.second):
            matrix = ConfusionMatrix(3)
            matrix.counts = result.counts[chosen].sum(0)
            miou.append(matrix.miou())
        drawn.append(miou[0] - miou[1])
    _, low, high = comparison.miou_difference()
    np.testing.assert_allclose((low, high), np.percentile(drawn, [2.5, 97.5]), atol=0.02)


@pytest.mark.parametrize(
    ("trained_on", "asked", "seen"),
    [
        ((), "val", None),
        (("CamVid train",), "val", False),
        (("CamVid train", "camvid VAL"), "val", True),
        (("KITTI val",), "val", False),
        (("CamVid val::5",), "val", True),
        (("CamVid val",), "val:a::2", True),
        (("CamVid val:a+b",), "val:b+c", True),
        (("CamVid val:a",), "val:b", False),
    ],
)
def test_what_was_seen_in_training(trained_on, asked, seen) -> None:
    assert subject(trained_on=trained_on).saw("CamVid", asked) is seen


def test_the_document_is_json_and_complete() -> None:
    comparison = compare(perfect, wrong_above, samples(), THREE)
    here = subject(trained_on=("Made train",), pretraining="none")
    made = document(
        here, Ground("Made", "test"), comparison.first, subject(name="o"), comparison, seed=3
    )
    again = json.loads(json.dumps(made, allow_nan=False))
    assert again == made
    assert made["classes"] == list(THREE.names)
    assert made["miou"] == 1.0
    assert np.array(made["confusion"]).shape == (3, 4)
    assert made["pixels"] == np.array(made["confusion"]).sum(1).tolist()
    assert (made["trained_on_split"], made["trained_on_val"]) == (False, False)
    assert made["model"]["trained_on"] == ["Made train"]
    other = made["against"]
    assert other["model"]["name"] == "o"
    assert other["model"]["trained_on"] is other["trained_on_split"] is None
    assert other["miou_difference"]["value"] == pytest.approx(1 - other["miou"])
    assert 0 < other["agreement"] < 1
    for key in made:
        assert key in document.__globals__["__doc__"]


def test_absent_classes_are_null() -> None:
    only = [("a", np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8))]
    made = document(subject(), Ground("Made", "test"), evaluate(perfect, only, THREE))
    assert made["iou"] == [1.0, None, None]
    assert made["boundary_f"] == [None] * 3
    assert made["mean_boundary_f"] is None
