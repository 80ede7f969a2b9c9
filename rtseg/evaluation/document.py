"""An evaluation as JSON. All shares are 0–1; lists by class are in the order of `classes`.

version             1
model               what was measured: file, name, network, label_set, classes (how many), engine,
                    engine_version, precision, device, input_size ([w, h], null: each image's own),
                    trained_on (null: not stated), pretraining (null: not stated), training
data, split, images the data set, its split, and how many images
label_set, classes  names of the classes that were scored
mapped              true if model and data have other classes and both were mapped to these
resolutions         [width, height, images] for each size that the labels have
trained_on_split    whether the model has seen this split in training; null: not stated
trained_on_val      the same of the data set's split val
miou, mean_accuracy, pixel_accuracy, mean_boundary_f
iou, accuracy, boundary_f, pixels    lists by class; null where a class does not occur
boundary_tolerance  pixels
confusion           pixels; rows the truth, columns the prediction, the last one "no answer"
image_miou          [name, mIoU] of each image, in the order of the split
against             with --against: the same of the other model (model, trained_on_split, miou, …,
                    confusion) and
  agreement, agreement_all      share of labels that are equal, on labelled pixels and on all
  miou_difference               first less other: value, low, high (95 %), resamples, seed, method
  iou_difference                list by class
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtseg.evaluation.comparison import RESAMPLES, Comparison
from rtseg.evaluation.measuring import Evaluation
from rtseg.evaluation.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERSION = 1
METHOD = "percentile bootstrap over images, 95 %"


@dataclass(frozen=True, slots=True)
class Ground:
    """What was measured on: the data set's title, its split, and whether classes were mapped."""

    data: str
    split: str
    mapped: bool = False


def document(
    subject: Subject,
    ground: Ground,
    result: Evaluation,
    other: Subject | None = None,
    comparison: Comparison | None = None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Everything as plain values, with the keys described above."""
    whole = {
        "version": VERSION,
        "model": _model(subject),
        "data": ground.data,
        "split": ground.split,
        "images": len(result),
        "label_set": result.classes.name,
        "classes": list(result.classes.names),
        "mapped": ground.mapped,
        "resolutions": [[*size, n] for size, n in sorted(result.resolutions.items())],
        "boundary_tolerance": result.boundary.tolerance,
        **_scores(subject, ground, result),
    }
    if other is not None and comparison is not None:
        whole["against"] = {
            "model": _model(other),
            **_scores(other, ground, comparison.second),
            **_differences(comparison, seed),
        }
    return whole


def _model(subject: Subject) -> dict[str, Any]:
    return {
        "file": subject.file,
        "name": subject.name,
        "network": subject.network,
        "label_set": subject.classes.name,
        "classes": len(subject.classes),
        "engine": subject.engine,
        "engine_version": subject.version,
        "precision": subject.precision,
        "device": subject.device,
        "input_size": list(subject.input_size) if subject.input_size else None,
        "trained_on": list(subject.trained_on) or None,
        "pretraining": subject.pretraining,
        "training": subject.training,
    }


def _scores(subject: Subject, ground: Ground, result: Evaluation) -> dict[str, Any]:
    matrix, pairs = result.matrix, zip(result.names, result.image_miou(), strict=True)
    return {
        "trained_on_split": subject.saw(ground.data, ground.split),
        "trained_on_val": subject.saw(ground.data, "val"),
        "miou": number(matrix.miou()),
        "mean_accuracy": number(matrix.mean_accuracy()),
        "pixel_accuracy": number(matrix.pixel_accuracy()),
        "mean_boundary_f": number(result.boundary.mean()),
        "iou": numbers(matrix.iou()),
        "accuracy": numbers(matrix.recall()),
        "boundary_f": numbers(result.boundary.per_class()),
        "pixels": matrix.counts.sum(1).tolist(),
        "confusion": matrix.counts.tolist(),
        "image_miou": [[name, number(value)] for name, value in pairs],
    }


def _differences(comparison: Comparison, seed: int) -> dict[str, Any]:
    labelled, everywhere = comparison.agreement()
    value, low, high = (number(v) for v in comparison.miou_difference(seed=seed))
    return {
        "agreement": number(labelled),
        "agreement_all": number(everywhere),
        "miou_difference": {
            "value": value, "low": low, "high": high, "resamples": RESAMPLES, "seed": seed,
            "method": METHOD,
        },
        "iou_difference": numbers(comparison.iou_differences()),
    }  # fmt: skip


def number(value: float) -> float | None:
    """To eight digits behind the point; None for NaN, which JSON does not have."""
    return round(float(value), 8) if math.isfinite(value) else None


def numbers(values: NDArray[np.float64] | Iterable[float]) -> list[float | None]:
    """`number` of each."""
    return [number(value) for value in values]
