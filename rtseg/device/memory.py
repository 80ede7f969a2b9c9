"""Memory for pictures: on the GPU, and page-locked on the host so that copies need not wait.

Everything is allocated before it is needed and used again, so that a long run takes no more memory
than a short one. `Memory` counts it.
"""

from __future__ import annotations

import queue
import threading
import weakref
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rtseg.device.arrays import DeviceArray
from rtseg.device.failures import translated
from rtseg.errors import EngineError
from rtseg.frame import ColourMatrix, DevicePicture, Picture, size_of

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

_ALIGNMENT = 64
"""Bytes that rows start at multiples of, so that neighbouring threads read whole sectors."""

_PATIENCE = 10.0
"""Seconds to wait for a lent picture to come back."""


@dataclass(frozen=True, slots=True)
class Form:
    """Size and layout of a picture in one piece of memory: luma and chroma follow each other with
    one row distance, as NVENC wants them."""

    layout: Literal["nv12", "bgr"]
    width: int
    height: int

    @classmethod
    def of(cls, image: Picture | DevicePicture) -> Form:
        """The form that takes a picture's content: nv12 for all YUV, 8 bits."""
        bgr = isinstance(image, np.ndarray) or getattr(image, "layout", "") == "bgr"
        return cls("bgr" if bgr else "nv12", *size_of(image))

    @property
    def pitch(self) -> int:
        """Bytes from the start of a row to the next."""
        if self.layout == "bgr":
            return 3 * self.width
        return -(-self.width // _ALIGNMENT) * _ALIGNMENT

    @property
    def nbytes(self) -> int:
        """Bytes in all."""
        chroma_rows = (self.height + 1) // 2 if self.layout == "nv12" else 0
        return (self.height + chroma_rows) * self.pitch

    def planes(self, flat: Any) -> tuple[Any, ...]:
        """Views of (nbytes,) uint8, on the device or the host, as in `DevicePicture.planes`."""
        if self.layout == "bgr":
            return (flat.reshape(self.height, self.width, 3),)
        rows = self.nbytes // self.pitch
        luma = flat.reshape(rows, self.pitch)[: self.height, : self.width]
        pairs = flat.reshape(rows, self.pitch // 2, 2)
        return luma, pairs[self.height :, : (self.width + 1) // 2]


class Memory:
    """Allocates, and counts what there is: `device_bytes` on the GPU, `host_bytes` page-locked.

    device_peak, host_peak: the most there ever was. As text, those.

    Any thread may use it. Its methods raise EngineError if there is not enough.
    """

    def __init__(self) -> None:
        self.device_bytes = self.host_bytes = 0
        self.device_peak = self.host_peak = 0
        self._lock = threading.RLock()  # a finalizer may run while it is held

    def on_device(self, shape: tuple[int, ...], dtype: DTypeLike) -> DeviceArray:
        """A C-contiguous array on the GPU with unknown content."""
        from numba import cuda

        with translated(f"allocating {_mib(_bytes(shape, dtype))} for frames"):
            array = cuda.device_array(shape, dtype)
        self._count(array, device=array.nbytes)
        return array

    def on_host(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """A page-locked array with unknown content."""
        from numba import cuda

        with translated(f"page-locking {_mib(_bytes(shape, dtype))} of the machine's memory"):
            array: NDArray[Any] = cuda.pinned_array(shape, dtype)
        self._count(array, host=array.nbytes)
        return array

    def _count(self, array: Any, device: int = 0, host: int = 0) -> None:
        self._add(device, host)
        weakref.finalize(array, self._add, -device, -host).atexit = False

    def _add(self, device: int, host: int) -> None:
        with self._lock:
            self.device_bytes += device
            self.host_bytes += host
            self.device_peak = max(self.device_peak, self.device_bytes)
            self.host_peak = max(self.host_peak, self.host_bytes)

    def __str__(self) -> str:
        return f"{_mib(self.device_peak)}, {_mib(self.host_peak)} page-locked on the host"


class Surface:
    """Memory for one picture. flat: (form.nbytes,) uint8; planes: views of it."""

    def __init__(self, form: Form, flat: Any) -> None:
        self.form, self.flat = form, flat
        self.planes = form.planes(flat)

    @classmethod
    def on_device(cls, form: Form, memory: Memory) -> Surface:
        """A new one on the GPU. Raises EngineError."""
        return cls(form, memory.on_device((form.nbytes,), np.uint8))

    @classmethod
    def on_host(cls, form: Form, memory: Memory) -> Surface:
        """A new one in page-locked memory. Raises EngineError."""
        return cls(form, memory.on_host((form.nbytes,), np.uint8))

    @cached_property
    def event(self) -> Any:
        """For whoever fills it on a stream to record behind that; without a clock."""
        cuda: Any = import_module("numba.cuda")  # its types know no event without a clock
        return cuda.event(timing=False)

    def picture(self, matrix: ColourMatrix, full_range: bool, ready: Any = None) -> DevicePicture:
        """The planes of one on the GPU as a picture."""
        return DevicePicture(self.planes, self.form.layout, matrix, full_range, ready)


class Ring:
    """A fixed number of surfaces on the GPU, lent as pictures.

    A surface is free again when nobody holds its picture any more. Any thread may borrow.
    """

    def __init__(self, form: Form, count: int, memory: Memory) -> None:
        """Raises EngineError if the GPU has no room for `count` surfaces."""
        self.form, self.count = form, count
        # Safe in a finalizer, which may run at any point of any thread.
        self._free: queue.SimpleQueue[Surface] = queue.SimpleQueue()
        for _ in range(count):
            self._free.put(Surface.on_device(form, memory))

    def lend(
        self, matrix: ColourMatrix, full_range: bool, *, on_stream: bool = False
    ) -> DevicePicture:
        """A picture with unknown content; waits for one to come back if all are lent.

        on_stream: it will be filled on a stream, and `ready` recorded behind that.

        Raises EngineError if none comes back.
        """
        try:
            surface = self._free.get(timeout=_PATIENCE)
        except queue.Empty:
            raise EngineError(
                f"all {self.count} pictures on the GPU are held; let go of frames before the next "
                "is asked for, or copy them to the host"
            ) from None
        ready = surface.event if on_stream else None
        picture = surface.picture(matrix, full_range, ready)
        weakref.finalize(picture, self._free.put, surface).atexit = False
        return picture


def _bytes(shape: tuple[int, ...], dtype: DTypeLike) -> int:
    return int(np.prod(shape)) * np.dtype(dtype).itemsize


def _mib(count: int) -> str:
    return f"{count / 2**20:.{0 if count > 10 * 2**20 else 1}f} MiB"
