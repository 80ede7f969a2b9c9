"""From a network's logits to labels at the frame's size, without computing most of them.

Bilinear interpolation is a convex combination of the four samples around a pixel, a *cell*. If one
class is the largest at all four corners, it is the largest at every pixel between them, so only
cells whose corners differ need work, and there only for classes that no other class beats at all
four corners.

This holds in float32, not only on paper: a value is computed as fl(fl(a * near) + fl(b * far))
with weights near, far >= 0, first down, then across. Rounding to nearest never reverses an order,
so products, sums and the whole expression never fall when one of the four samples grows: a class
that is not less at any corner is not less at any pixel. (a + (b - a) * t would break this, as b - a
falls when a grows.) Without fused multiply-add the result equals the reference bit by bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rtseg.classes import IGNORE
from rtseg.kernels._confidence import confidence_of
from rtseg.kernels._jit import Number, U, kernel, part
from rtseg.kernels._views import (
    Bytes,
    Floats,
    check_confidence,
    check_labels,
    check_logits,
    target,
)
from rtseg.kernels.tables import Axis, axis

if TYPE_CHECKING:
    from numpy.typing import NDArray


def postprocess(logits: Floats, labels: Bytes, *, confidence: Bytes | None = None) -> bool:
    """Class ids at the size of `labels`: the largest of the bilinearly resized logits.

    logits: (C, h, w) float32, C of 1 to 254. labels: (H, W) uint8, of any size, written.
    confidence: (H, W) uint8, written if it is given: round(255 * p), p the probability of the
    label, which is the softmax of the resized logits. It takes every class at every pixel, and
    many times as long as the labels.

    Half-pixel centres, clamped edges. The lowest id wins a tie; where only float32 rounding makes
    two classes equal, either may be given. If any logit is NaN or infinite, every label becomes
    255, every confidence 0, and the result is False.

    Raises ValueError for arrays of another shape or type.
    """
    check_logits(logits)
    check_labels(labels)
    if confidence is not None:
        check_confidence(confidence, labels)
    pixels, step = target("labels", labels)
    rows, columns = axis(logits.shape[1], labels.shape[0]), axis(logits.shape[2], labels.shape[1])
    samples = np.ascontiguousarray(logits).view()
    samples.flags.writeable = False
    finite = bool(_labels(samples, rows, columns, pixels, step))
    if not finite:
        labels.fill(IGNORE)
    if confidence is not None and finite:
        confidence_of(samples, labels, confidence)
    elif confidence is not None:
        confidence.fill(0)
    return finite


@kernel
def _labels(logits: Floats, rows: Axis, columns: Axis, labels: Bytes, step: int) -> bool:
    """Fill `labels`; stop and return False at the first row of logits that is not finite."""
    classes, height, width = logits.shape
    best, wrong = np.empty(width, np.float32), np.empty(width, np.float32)
    winner = np.empty((2, width), np.uint8)  # the two rows of logits around the current ones
    label, mixed = np.empty(width, np.uint8), np.empty(width, np.int32)
    corners = np.empty((4, classes), np.float32)
    ends = np.empty((2, classes), np.float32)
    ids = np.empty((2, classes), np.uint8)
    if not _largest(logits, 0, best, wrong, winner, 0):
        return False
    for cell in range(rows.starts.size - 1):
        if not _largest(logits, min(cell + 1, height - 1), best, wrong, winner, (cell + 1) & 1):
            return False
        first, last = rows.starts[cell], rows.starts[cell + 1]
        if first == last:
            continue
        count = _sort_cells(winner, columns.starts, label, mixed)
        _fill_rows(label, columns.low, labels, step, first, last)
        for i in range(count):
            n = _contenders(logits, cell, mixed[i], winner, corners, ids)
            start, end = columns.starts[mixed[i]], columns.starts[mixed[i] + 1]
            _fill_mixed(corners, ends, ids, n, rows, first, last, columns, start, end, labels, step)
    return True


@part
def _largest(
    logits: Floats, row: int, best: Floats, wrong: Floats, winner: Bytes, line: int
) -> bool:
    """The classes of the largest logits along a row, the lowest of equals, into winner[line].

    Returns whether all are finite.
    """
    zero = np.float32(0)
    for x in range(best.size):
        best[x] = logits[0, row, x]
        wrong[x] = logits[0, row, x] * zero
        winner[line, x] = 0
    for c in range(1, logits.shape[0]):
        label = np.uint8(c)
        for x in range(best.size):
            value = logits[c, row, x]
            larger = value > best[x]
            best[x] = value if larger else best[x]
            winner[line, x] = label if larger else winner[line, x]
            wrong[x] += value * zero  # stays 0, unless NaN or infinite once
    finite = True
    for x in range(wrong.size):
        finite &= wrong[x] == zero
    return finite


@part
def _sort_cells(
    winner: Bytes, starts: NDArray[np.int32], label: Bytes, mixed: NDArray[np.int32]
) -> int:
    """Label the cells along a row by their corners; list those whose corners differ, count them."""
    count, last = 0, winner.shape[1] - 1
    for cell in range(starts.size - 1):
        right = min(cell + 1, last)
        first = winner[0, cell]
        label[cell] = first
        same = first == winner[0, right] and first == winner[1, cell] and first == winner[1, right]
        if not same and starts[cell] < starts[cell + 1]:
            mixed[count] = cell
            count += 1
    return count


@part
def _fill_rows(
    label: Bytes, cells: NDArray[np.uint32], labels: Bytes, step: int, first: int, last: int
) -> None:
    """Give rows first … last - 1 the labels of their cells."""
    start = first * step
    for x in range(cells.size):
        labels[U(start + x)] = label[U(cells[x])]
    for row in range(first + 1, last):
        for x in range(cells.size):
            labels[U(row * step + x)] = labels[U(start + x)]


@part
def _contenders(
    logits: Floats, row: int, column: int, winner: Bytes, corners: Floats, ids: Bytes
) -> Number:
    """List the classes that could win in a cell in ids[0], with their (4, n) corners; return n.

    A class whose largest corner is below the smallest corner of another cannot.
    """
    classes, height, width = logits.shape
    above, below = U(row), U(min(row + 1, height - 1))
    left, right = U(column), U(min(column + 1, width - 1))
    bound = np.float32(-np.inf)
    for k in (winner[0, left], winner[0, right], winner[1, left], winner[1, right]):
        a, b = logits[k, above, left], logits[k, above, right]
        c, d = logits[k, below, left], logits[k, below, right]
        bound = max(bound, min(a, b, c, d))
    n = U(0)
    for k in range(classes):
        a, b = logits[k, above, left], logits[k, above, right]
        c, d = logits[k, below, left], logits[k, below, right]
        if max(a, b, c, d) >= bound:
            corners[0, n], corners[1, n], corners[2, n], corners[3, n] = a, b, c, d
            ids[0, n] = k
            n += U(1)
    return np.intp(n)


@part
def _fill_mixed(
    corners: Floats,
    ends: Floats,
    ids: Bytes,
    n: int,
    rows: Axis,
    first: int,
    last: int,
    columns: Axis,
    start: int,
    end: int,
    labels: Bytes,
    step: int,
) -> None:
    """Fill a cell: rows first … last - 1, columns start … end - 1.

    Along a row a value is again between those at its two ends, so the same reasoning applies: if
    one class is the largest at both, it fills the row.
    """
    for row in range(first, last):
        out = row * step
        left, right = _mix_ends(corners, ends, n, rows.near[row], rows.far[row])
        if left == right:
            for x in range(start, end):
                labels[U(out + x)] = ids[0, left]
        else:
            m = _drop_beaten(ends, ids, n, ends[0, right], ends[1, left])
            for x in range(start, end):
                labels[U(out + x)] = _winner(ends, ids, m, columns.near[U(x)], columns.far[U(x)])


@part
def _winner(ends: Floats, ids: Bytes, m: int, near: float, far: float) -> Number:
    best, label = ends[0, 0] * near + ends[1, 0] * far, ids[1, 0]
    for i in range(1, m):
        value = ends[0, i] * near + ends[1, i] * far
        label = ids[1, i] if value > best else label
        best = value if value > best else best
    return label


@part
def _mix_ends(
    corners: Floats, ends: Floats, n: int, near: float, far: float
) -> tuple[Number, Number]:
    """Values of the contenders at the left and right end of a row; which is largest at each."""
    left = right = U(0)
    best_left = best_right = np.float32(-np.inf)
    for i in range(n):
        a = corners[0, i] * near + corners[2, i] * far
        b = corners[1, i] * near + corners[3, i] * far
        ends[0, i], ends[1, i] = a, b
        left = U(i) if a > best_left else left
        right = U(i) if b > best_right else right
        best_left, best_right = max(best_left, a), max(best_right, b)
    return left, right


@part
def _drop_beaten(ends: Floats, ids: Bytes, n: int, least_left: float, least_right: float) -> Number:
    """Keep the ends of those that can win between them, their classes in ids[1]; return how many.

    Those as large as the left end's class on the right, and as the right end's on the left.
    """
    m = U(0)
    for i in range(n):
        a, b = ends[0, i], ends[1, i]
        ends[0, m], ends[1, m], ids[1, m] = a, b, ids[0, i]
        m += U((a >= least_left) & (b >= least_right))
    return np.intp(m)
