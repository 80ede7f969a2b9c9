"""Arrays on the GPU as the kernels take them, and the checks on what the caller gave."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from rtseg.device.arrays import DeviceArray
from rtseg.frame import DevicePicture
from rtseg.kernels._cuda_jit import SIMULATED, cuda
from rtseg.kernels._views import check_labels

_INTERFACE = "__array_interface__" if SIMULATED else "__cuda_array_interface__"


class Plane(NamedTuple):
    """Rows of samples in the GPU's memory, for as long as the array they were made from lives.

    address: of the first sample. samples: flat, from the first sample to the last; words: the same
    memory as uint32. step: samples from one row's start to the next. aligned: every row starts at a
    multiple of 4 bytes, so that words may be used.
    """

    address: int
    samples: DeviceArray
    words: DeviceArray
    step: int
    aligned: bool

    @property
    def word_step(self) -> int:
        """Words from one row's start to the next; of bytes, if aligned."""
        return self.step // 4


def plane(name: str, array: DeviceArray) -> Plane:
    """An array of rows, (H, W) or (H, W, n), as a plane.

    Raises ValueError if it is not on the device, or its rows are not of adjacent samples one after
    another.
    """
    face = getattr(array, _INTERFACE, None)
    if face is None:
        raise ValueError(f"{name} is a {type(array).__name__}; expected an array on the GPU")
    found = _plane(face["data"][0], face["shape"], face["strides"], face["typestr"])
    if found is None:
        raise ValueError(
            f"{name} of {array.shape} has strides {array.strides}; expected rows one after "
            "another, each of adjacent samples"
        )
    return found


def flat(name: str, array: DeviceArray) -> DeviceArray:
    """A C-contiguous array as a flat one, without a copy. Raises ValueError for any other."""
    rows = plane(name, array)
    if rows.step != prod(array.shape[1:]):
        raise ValueError(f"{name} has padded rows, strides {array.strides}; expected none")
    return rows.samples


def shifted(rows: Plane, samples: int) -> Plane:
    """The plane that starts some samples later, as v does in the chroma of nv12."""
    dtype = rows.samples.dtype
    address = rows.address + samples * dtype.itemsize
    return _made(address, rows.samples.size - samples, rows.step, dtype.str)


# What is kept are numbers, not memory: an address that is used again gets a view that fits it.


@lru_cache(maxsize=1024)
def _plane(
    address: int, shape: tuple[int, ...], strides: tuple[int, ...] | None, kind: str
) -> Plane | None:
    size = np.dtype(kind).itemsize
    row = prod(shape[1:])
    if strides is None:
        return _made(address, prod(shape), row, kind)
    along = size
    for count, stride in zip(shape[:0:-1], strides[:0:-1], strict=True):
        if count > 1 and stride != along:
            return None
        along *= count
    step, rest = divmod(strides[0] if shape[0] > 1 else along, size)
    if rest or step < row:
        return None
    return _made(address, (shape[0] - 1) * step + row, step, kind)


@lru_cache(maxsize=1024)
def _made(address: int, count: int, step: int, kind: str) -> Plane:
    size = np.dtype(kind).itemsize
    words = _view(address, max(1, count * size // 4), "<u4")
    aligned = address % 4 == 0 and step * size % 4 == 0
    return Plane(address, _view(address, count, kind), words, step, aligned)


class _Memory:
    """An address for numpy, in the simulator."""

    def __init__(self, face: dict[str, Any]) -> None:
        self.__array_interface__ = face


def _view(address: int, count: int, kind: str) -> DeviceArray:
    """Memory that somebody else owns as a flat array."""
    face = {
        "data": (address, False), "shape": (count,), "strides": None, "typestr": kind, "version": 3
    }  # fmt: skip
    if SIMULATED:
        return cuda.devicearray.FakeCUDAArray(np.asarray(_Memory(face)))
    return cuda.from_cuda_array_interface(face, sync=False)


def check_input(out: DeviceArray) -> None:
    """Raise ValueError unless `out` is a (3, h, w) array of float16 or float32."""
    if out.dtype not in (np.float16, np.float32) or out.ndim != 3 or out.shape[0] != 3:
        raise ValueError(f"out is {out.shape} {out.dtype}; expected (3, h, w) float16 or float32")
    if out.size == 0:
        raise ValueError(f"out is {out.shape}; expected at least one pixel")


def check_valid(valid: DeviceArray) -> None:
    """Raise ValueError unless `valid` is one int32."""
    if valid.dtype != np.int32 or tuple(valid.shape) != (1,):
        raise ValueError(f"valid is {valid.shape} {valid.dtype}; expected (1,) int32")


def check_blend(image: DevicePicture, labels: DeviceArray, out: DevicePicture) -> None:
    """Raise ValueError unless the three have one size, and both pictures one layout of 8 bits and
    one colour space."""
    check_labels(labels)
    sizes = {tuple(labels.shape), (image.height, image.width), (out.height, out.width)}
    if len(sizes) > 1:
        raise ValueError(f"an image, labels and an output of {sizes} (H, W); expected one size")
    if _colour_space(image) != _colour_space(out):
        raise ValueError(
            f"an image in {_colour_space(image)} and an output in {_colour_space(out)}; expected "
            "one layout and colour space"
        )
    check_8_bits(out)


def check_8_bits(out: DevicePicture) -> None:
    """Raise ValueError for a picture of 10 bits."""
    if out.layout == "p010":
        raise ValueError("a picture in p010; expected nv12, i420 or bgr to draw on")


def _colour_space(image: DevicePicture) -> str:
    if image.layout == "bgr":
        return "bgr"
    return f"{image.layout} {image.matrix} {'pc' if image.full_range else 'tv'}"
