"""The probability of each pixel's label, for those who ask for it."""

from __future__ import annotations

import math

import numpy as np

from rtseg.kernels._jit import Number, U, kernel, part
from rtseg.kernels._views import Bytes, Floats, Rows, source, target
from rtseg.kernels.tables import Axis, axis


def confidence_of(logits: Floats, labels: Bytes, confidence: Bytes) -> None:
    """Fill `confidence` (H, W) uint8: round(255 * p), p of the class in `labels` (H, W), the
    softmax of the bilinearly resized logits (C, h, w), contiguous, read-only and all finite."""
    rows, columns = axis(logits.shape[1], labels.shape[0]), axis(logits.shape[2], labels.shape[1])
    result, step = target("confidence", confidence)
    _confidence(logits, rows, columns, source(labels), result, step)


@kernel
def _confidence(
    logits: Floats, rows: Axis, columns: Axis, labels: Rows, out: Bytes, step: int
) -> None:
    classes, _, width = logits.shape
    ids, ids_step = labels
    line = np.zeros(width + 1, np.float32)
    values = np.empty((classes, columns.low.size), np.float32)
    top, weight = np.empty((2, columns.low.size), np.float32)
    for row in range(rows.low.size):
        for c in range(classes):
            _resized(logits, c, rows, row, columns, line, values)
        for x in range(top.size):
            top[x] = values[ids[U(row * ids_step + x)], x]
            weight[x] = np.float32(0)
        for c in range(classes):
            for x in range(top.size):
                weight[x] += np.float32(math.exp(values[c, x] - top[x]))
        for x in range(top.size):
            out[U(row * step + x)] = _byte(weight[x])


@part
def _resized(
    logits: Floats, c: int, rows: Axis, row: int, columns: Axis, line: Floats, values: Floats
) -> None:
    """Row `row` of the resized logits of class `c`, into values[c]."""
    height, width = logits.shape[1:]
    above, near, far = U(rows.low[row]), rows.near[row], rows.far[row]
    below = min(above + U(1), U(height - 1))
    for x in range(width):
        line[x] = logits[c, above, x] * near + logits[c, below, x] * far
    for x in range(columns.low.size):
        at = U(columns.low[x])
        values[c, x] = line[at] * columns.near[x] + line[at + U(1)] * columns.far[x]


@part
def _byte(weight: float) -> Number:
    """255 / weight, rounded; the label has the largest value, but for rounding."""
    share = min(np.float32(255) / weight, np.float32(255))
    return np.uint8(np.int32(share + np.float32(0.5)))
