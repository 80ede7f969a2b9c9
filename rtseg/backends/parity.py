"""Does an engine say the same as the reference? Asked before a plan is kept.

The reference is OpenVINO in f32, the candidate what a builder made of the same model. Both get
rendered streets, preprocessed as in a run, and their labels are compared at the input's resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from rtseg.backends import openvino
from rtseg.backends.plan_use import UnfitError
from rtseg.synthetic import Scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtseg.model import Model

Candidate: TypeAlias = "Callable[[NDArray[np.float32]], NDArray[np.float32]]"
"""(3, h, w) float32, normalised, to (C, h / s, w / s) float32 logits; s is the output stride."""

LEAST = 0.995
"""Share of the pixels that must get the same label. f16 reaches 0.999, bf16 0.997 to 0.999."""

LEAST_IOU = 0.9
"""IoU that each class must reach: a rare one is lost without many pixels. bf16 reaches 0.97."""

LEAST_SHARE = 1e-3
"""Classes are judged on their own from this share of the reference's pixels on."""

MOST_APART = 0.005
"""Most that logits may differ by on average, as a share of the reference's range. bf16 reaches
0.0008, logits moved by one sample 0.013: labels alone miss what every class has in common."""

LEAST_CLASSES = 2
"""Classes to be judged at least: where the reference sees one, any engine that does agrees."""

_APART = 97
"""Frames between the pictures, so that streets are seen at different places."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How often two engines agree.

    agreement: share of the pixels with the same label, over all frames. worst_class, worst_iou: the
    class, of those that are judged, whose pixels agree least. apart: mean difference of the logits
    in the worst frame, as a share of the reference's range.
    """

    agreement: float
    frames: int
    worst_class: str = ""
    worst_iou: float = 1.0
    apart: float = 0.0


def check(
    candidate: Candidate,
    model: Model,
    size: tuple[int, int],
    *,
    frames: int = 4,
    least: float = LEAST,
) -> Parity:
    """Compare a candidate with the reference on rendered frames, at an input of (width, height).

    Raises UnfitError if the candidate's logits have another shape, are NaN or infinite, if fewer
    than `least` of the pixels get the same label, a class falls below `LEAST_IOU`, the logits are
    further apart than `MOST_APART`, or fewer than `LEAST_CLASSES` can be judged.
    """
    if frames < 1:
        raise ValueError(f"{frames} frames to compare; expected 1 or more")
    classes = len(model.classes)
    counts, apart = np.zeros((classes, classes), np.int64), 0.0
    for number, (image, expected) in enumerate(_reference(model, size, frames), 1):
        where = f"in frame {number} of {frames}"
        wanted = _labels(expected, size, f"the reference, OpenVINO f32, gives {{}} {where}")
        logits = np.ascontiguousarray(candidate(image), np.float32)
        if logits.shape != expected.shape:
            raise UnfitError(
                f"the engine gives logits of {logits.shape}; expected {expected.shape}"
            )
        got = _labels(logits, size, f"the engine gives {{}} {where}, the reference does not")
        pairs = wanted.astype(np.int64) * classes + got
        counts += np.bincount(pairs.ravel(), minlength=classes**2).reshape(classes, classes)
        distance = float(np.abs(logits - expected).mean())
        apart = max(apart, distance / max(float(np.ptp(expected)), 1e-6))
    return _verdict(counts, apart, model, frames, least)


def _reference(
    model: Model, size: tuple[int, int], frames: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Pairs of (3, h, w) input and (C, h / s, w / s) logits, valid until the next pair."""
    from rtseg.kernels import cpu

    engine = openvino.build(model, size, precision="f32", streams=1, threads=None)
    context = engine.context()
    try:
        for seed in range(frames):
            scene = Scene(max(64, size[0]), max(64, size[1]), seed=seed)
            image, _ = scene.render(_APART * seed)
            cpu.preprocess(image, context.input, model.contract.mean, model.contract.std)
            yield context.input.copy(), context.run()
    finally:
        engine.close()


def _labels(
    logits: NDArray[np.float32], size: tuple[int, int], complaint: str
) -> NDArray[np.uint8]:
    """(h, w) uint8 labels at the input's size. Raises UnfitError with `complaint` for NaN, inf."""
    from rtseg.kernels import cpu

    labels = np.empty((size[1], size[0]), np.uint8)
    if not cpu.postprocess(logits, labels):
        bad = ~np.isfinite(logits)
        kind = "NaN" if np.isnan(logits).any() else "infinite logits"
        raise UnfitError(f"{complaint.format(kind)} ({bad.sum()} of {bad.size} values)")
    return labels


def _verdict(
    counts: NDArray[np.int64], apart: float, model: Model, frames: int, least: float
) -> Parity:
    """counts: (C, C) pixels, rows the reference, columns the candidate. Raises UnfitError."""
    hits, wanted = counts.diagonal(), counts.sum(1)
    agreement = float(hits.sum() / counts.sum())
    union = wanted + counts.sum(0) - hits
    judged = wanted >= LEAST_SHARE * counts.sum()
    iou = np.where(judged, hits / np.maximum(union, 1), np.inf)
    worst = int(iou.argmin())
    parity = Parity(agreement, frames, model.classes.names[worst], float(iou[worst]), apart)
    if agreement < least or parity.worst_iou < LEAST_IOU:
        raise UnfitError(_difference(parity, counts[worst], model, least))
    if apart > MOST_APART:
        raise UnfitError(
            f"the engine's logits are {apart:.4f} of their range apart from the reference's, "
            f"OpenVINO f32 (expected {MOST_APART} at most). It must not be used"
        )
    if judged.sum() < LEAST_CLASSES:
        raise UnfitError(
            f"the reference, OpenVINO f32, sees {judged.sum()} class in the {frames} rendered "
            f"streets; expected {LEAST_CLASSES} or more: equal labels would prove nothing"
        )
    return parity


def _difference(parity: Parity, given: NDArray[np.int64], model: Model, least: float) -> str:
    """given: (C,) pixels that the candidate gives to each class where the worst is expected."""
    instead = given.copy()
    instead[model.classes.names.index(parity.worst_class)] = -1
    other = model.classes.names[int(instead.argmax())]
    return (
        f"the engine agrees with the reference, OpenVINO f32, on {100 * parity.agreement:.2f} % of "
        f"the pixels of {parity.frames} frames (expected {100 * least:.2f} %); worst class: "
        f"{parity.worst_class}, IoU {parity.worst_iou:.2f} (expected {LEAST_IOU}), mostly taken "
        f"for {other}. It must not be used"
    )
