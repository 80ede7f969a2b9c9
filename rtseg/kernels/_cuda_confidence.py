"""The probability of each pixel's label, on the GPU, where somebody asks for it.

It needs every class at every pixel, so it is a pass of its own over the labels. Nothing has to
round as the reference here: what counts is 1/255.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rtseg.device.arrays import Stream
from rtseg.kernels._cuda_jit import I32, U, cuda, kernel, launch, part
from rtseg.kernels._cuda_views import Plane

_BLOCK = 32, 8
_ONE, _HALF, _MOST = np.float32(1), np.float32(0.5), np.float32(255)


def confidence_of(
    found: tuple[Any, ...], confidence: Plane, size: tuple[int, int], stream: Stream
) -> None:
    """Fill `confidence` (H, W): round(255 * softmax), of the label that was found; 0 if the logits
    are not valid. found: the kernel's arguments up to `valid`; size: (H, W)."""
    grid = -(-size[1] // _BLOCK[0]), -(-size[0] // _BLOCK[1])
    launch(_confidence, grid, _BLOCK, stream, *found, confidence.samples, confidence.step, *size)


@part
def _value(logits: Any, a: Any, b: Any, c: Any, d: Any, far_y: Any, far_x: Any) -> Any:
    near_y, near_x = _ONE - far_y, _ONE - far_x
    left = logits[U(a)] * near_y + logits[U(c)] * far_y
    right = logits[U(b)] * near_y + logits[U(d)] * far_y
    return left * near_x + right * far_x


@kernel(
    "void(float32[::1], int64, int64, int64, float32[::1], float32[::1], "
    "uint8[::1], int64, int32[::1], uint8[::1], int64, int64, int64)"
)
def _confidence(
    logits: Any, classes: int, height: int, width: int, rows: Any, columns: Any,
    labels: Any, step: int, valid: Any, out: Any, out_step: int, out_height: int, out_width: int,
) -> None:  # fmt: skip
    x, row = cuda.grid(2)
    if x >= out_width or row >= out_height:
        return
    if valid[0] == 0:
        out[U(row * out_step + x)] = np.uint8(0)
        return
    left, y = I32(columns[U(2 * x)]), I32(rows[U(2 * row)])
    far_x, far_y = columns[U(2 * x + 1)], rows[U(2 * row + 1)]
    above, below = y * width, min(y + 1, height - 1) * width
    right = min(left + 1, width - 1)
    a, b, c, d = above + left, above + right, below + left, below + right
    at = I32(labels[U(row * step + x)]) * height * width
    top = _value(logits, at + a, at + b, at + c, at + d, far_y, far_x)
    weight = np.float32(0)
    for k in range(classes):
        at = k * height * width
        value = _value(logits, at + a, at + b, at + c, at + d, far_y, far_x)
        weight += np.float32(math.exp(value - top))
    # The label has the largest value, but for rounding.
    share = min(_MOST / weight, _MOST)
    out[U(row * out_step + x)] = np.uint8(I32(share + _HALF))
