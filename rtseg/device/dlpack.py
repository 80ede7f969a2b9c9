"""Arrays to and from PyAV by DLPack, whose structures are read and made with ctypes.

numba gives and takes `__cuda_array_interface__` alone. The structures are those of DLPack 0.x, in
capsules named "dltensor": https://dmlc.github.io/dlpack/latest/c_api.html
"""

from __future__ import annotations

import ctypes
from importlib import import_module
from typing import Any

import numpy as np

from rtseg.device.arrays import DeviceArray

_CPU, _CUDA = 1, 2  # DLDeviceType
_UNSIGNED = 1  # DLDataTypeCode
_NAME = b"dltensor"


class _Tensor(ctypes.Structure):
    """DLTensor, of which version 0 of DLManagedTensor begins; strides in elements."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _Managed(ctypes.Structure):
    """DLManagedTensor."""


_DELETER = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Managed))
_Managed._fields_ = [
    ("tensor", _Tensor),
    ("context", ctypes.c_void_p),
    ("deleter", _DELETER),
]

_pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_new_capsule = ctypes.PYFUNCTYPE(
    ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p
)(("PyCapsule_New", ctypes.pythonapi))


class Borrowed:
    """An array of unsigned numbers inside a DLPack capsule, which is kept as long as this is.

    interface: as `__cuda_array_interface__` and `__array_interface__` have it; the attribute of
    the device it is on is there, the other is not.
    """

    def __init__(self, capsule: Any) -> None:
        """Raises ValueError for a capsule of another kind."""
        self._capsule = capsule
        tensor = _Managed.from_address(_pointer_of(capsule, _NAME)).tensor
        if tensor.code != _UNSIGNED or tensor.bits not in (8, 16) or tensor.lanes != 1:
            raise ValueError(f"a DLPack array of type {tensor.code}, {tensor.bits} bits")
        shape = tuple(tensor.shape[i] for i in range(tensor.ndim))
        size = tensor.bits // 8
        strides = _c_strides(shape) if not tensor.strides else tensor.strides[: tensor.ndim]
        interface = {
            "shape": shape,
            "strides": tuple(step * size for step in strides),
            "typestr": np.dtype(f"u{size}").str,
            "data": (tensor.data + tensor.byte_offset, False),
            "version": 3,
        }
        if tensor.device_type == _CUDA:
            self.__cuda_array_interface__ = interface
        elif tensor.device_type == _CPU:
            self.__array_interface__ = interface
        else:
            raise ValueError(f"a DLPack array on a device of type {tensor.device_type}")


def borrow(capsule: Any) -> DeviceArray:
    """A capsule of memory on the GPU as an array of numba's, without a copy.

    Nothing is synchronised: the memory's content must be there, or waited for.
    """
    cuda: Any = import_module("numba.cuda")
    return cuda.as_cuda_array(Borrowed(capsule), sync=False)


_lent: dict[int, tuple[Any, ...]] = {}
"""What must live until a consumer is done, by the address of its DLManagedTensor."""


def lend(array: Any, owner: object) -> Any:
    """A DLPack capsule of an unsigned array on the GPU (or of numpy).

    `owner` and the memory are kept until the consumer lets go, which may be in any thread. A
    capsule that nobody consumes is kept for ever.
    """
    on_device = hasattr(array, "__cuda_array_interface__")
    face = array.__cuda_array_interface__ if on_device else array.__array_interface__
    kind, count = np.dtype(face["typestr"]), len(face["shape"])
    numbers = ctypes.c_int64 * count
    shape = numbers(*face["shape"])
    strides = numbers(*(step // kind.itemsize for step in array.strides))
    managed = _Managed(
        tensor=_Tensor(
            data=face["data"][0], device_type=_CUDA if on_device else _CPU, device_id=0,
            ndim=count, code=_UNSIGNED, bits=8 * kind.itemsize, lanes=1,
            shape=shape, strides=strides, byte_offset=0,
        ),
        deleter=_let_go,
    )  # fmt: skip
    address = ctypes.addressof(managed)
    _lent[address] = (managed, shape, strides, array, owner)
    return _new_capsule(address, _NAME, None)


def _forget(managed: Any) -> None:
    _lent.pop(ctypes.addressof(managed.contents), None)


_let_go = _DELETER(_forget)


def _c_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """In elements, for rows without gaps."""
    steps = [1]
    for count in reversed(shape[1:]):
        steps.append(steps[-1] * count)
    return tuple(reversed(steps))
