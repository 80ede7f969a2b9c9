"""Arrays as the compiled kernels take them, and the checks on what the caller gave.

numba compiles a function anew for each combination of array layouts and of read-only flags. So
every picture is passed the same way: one flat array and the distance between the starts of its
rows; read-only where it is only read. Each kernel is then compiled, cached and loaded once.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from rtseg.frame import Picture, Yuv420, check_bgr, size_of

Bytes: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]
Rows: TypeAlias = tuple[Bytes, int]
"""Rows of bytes: all in one flat array, and the distance from one row's start to the next."""


def source(array: Bytes) -> Rows:
    """Rows to read, (H, W) or (H, W, 3) uint8, as a flat view and the row distance in bytes.

    Rows may be padded; any other layout (flipped, cropped in steps) is copied first.
    """
    if not _rows_in_order(array):
        array = np.ascontiguousarray(array)
    flat, step = _flat(array)
    flat.flags.writeable = False
    return flat, step


def target(name: str, array: Bytes) -> Rows:
    """Rows to write, as `source`. Raises ValueError if they are read-only or not in order."""
    if not array.flags.writeable:
        raise ValueError(f"{name} is read-only; expected an array to write to")
    if not _rows_in_order(array):
        raise ValueError(
            f"{name} has strides {array.strides}; expected rows one after another, "
            "each of adjacent pixels"
        )
    return _flat(array)


def _flat(array: Bytes) -> Rows:
    row = array.size // array.shape[0]
    if array.flags.c_contiguous:
        return array.reshape(-1), row
    step = array.strides[0]
    size = (array.shape[0] - 1) * step + row
    return as_strided(array, (size,), (1,)), step


def _rows_in_order(array: Bytes) -> bool:
    """Whether each row is contiguous and the rows follow each other without overlap."""
    if array.flags.c_contiguous:
        return True
    row = array.size // array.shape[0]
    return bool(array[0].flags.c_contiguous) and array.strides[0] >= row


def check_labels(labels: Bytes) -> None:
    """Raise ValueError unless `labels` is a non-empty (H, W) uint8 array."""
    if labels.dtype != np.uint8 or labels.ndim != 2 or labels.size == 0:
        raise ValueError(f"labels are {labels.shape} {labels.dtype}; expected (H, W) uint8")


def check_confidence(confidence: Bytes, labels: Bytes) -> None:
    """Raise ValueError unless `confidence` is uint8 of the labels' shape."""
    if confidence.dtype != np.uint8 or tuple(confidence.shape) != tuple(labels.shape):
        raise ValueError(
            f"confidence is {confidence.shape} {confidence.dtype}; expected {labels.shape} uint8"
        )


def check_logits(logits: Floats) -> None:
    """Raise ValueError unless `logits` is (C, h, w) float32 of 1 to 254 classes."""
    if logits.dtype != np.float32 or logits.ndim != 3 or logits.size == 0:
        raise ValueError(f"logits are {logits.shape} {logits.dtype}; expected (C, h, w) float32")
    if logits.shape[0] > 254:
        raise ValueError(f"{logits.shape[0]} classes; expected at most 254")


def check_tensor(out: Floats) -> None:
    """Raise ValueError unless `out` is a writable, contiguous (3, h, w) float32 array."""
    if out.dtype != np.float32 or out.ndim != 3 or out.shape[0] != 3 or out.size == 0:
        raise ValueError(f"out is {out.shape} {out.dtype}; expected (3, h, w) float32")
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError("out is read-only or not C-contiguous; expected memory to write in order")


def check_picture(image: Picture) -> None:
    """Raise ValueError unless `image` is planes or a (H, W, 3) uint8 array."""
    if not isinstance(image, Yuv420):
        check_bgr(image)


def check_blend(image: Picture, labels: Bytes, out: Picture) -> None:
    """Raise ValueError unless the three have one size and both pictures one colour space."""
    check_picture(image)
    check_picture(out)
    check_labels(labels)
    height, width = labels.shape
    if not size_of(image) == size_of(out) == (width, height):
        raise ValueError(
            f"an image of {size_of(image)}, labels of {(width, height)} and an output of "
            f"{size_of(out)} (width, height); expected one size"
        )
    if _colour_space(image) != _colour_space(out):
        raise ValueError(
            f"an image in {_colour_space(image)} and an output in {_colour_space(out)}; "
            "expected one colour space"
        )


def _colour_space(image: Picture) -> str:
    if not isinstance(image, Yuv420):
        return "bgr"
    return f"yuv420p {image.matrix} {'pc' if image.full_range else 'tv'}"
