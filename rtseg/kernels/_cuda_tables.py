"""What the CUDA kernels look up, brought to the device once and kept there.

A table is a few KiB. The last 256 that were used stay on the device; that is all the memory the
kernels take, besides two words a network.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

from rtseg.device.arrays import DeviceArray, Stream
from rtseg.device.failures import translated
from rtseg.frame import ColourMatrix
from rtseg.kernels._cuda_jit import cuda
from rtseg.kernels.tables import BlendTable, axis, tensor_from_bgr, tensor_from_yuv

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST = 256

_kept: OrderedDict[tuple[Hashable, ...], DeviceArray] = OrderedDict()
_lock = threading.Lock()


def upload(make: Callable[..., NDArray[Any]], *key: Hashable, stream: Stream) -> DeviceArray:
    """The flat array of make(*key) on the current device.

    The first call with a key allocates, copies and waits until the table is there, for whatever
    stream: it cannot be part of a graph. Raises EngineError.
    """
    name = (cuda.get_current_device().uuid, make, *key)
    with _lock:
        if name not in _kept:
            with translated("uploading a table"):
                _kept[name] = cuda.to_device(np.array(make(*key)).reshape(-1), stream=stream)
                stream.synchronize()
            while len(_kept) > _MOST:
                _kept.popitem(last=False)
        _kept.move_to_end(name)
        return _kept[name]


def uploads() -> tuple[DeviceArray, ...]:
    """All tables on devices. Who captured a graph holds them as long as the graph, whose launches
    do not count as use."""
    with _lock:
        return tuple(_kept.values())


def places(src: int, dst: int) -> NDArray[np.float32]:
    """(dst, 2) float32: the cell of each sample of a resized axis, a whole number, and how far in
    it the sample lies, 0–1. See `tables.Axis`."""
    table = axis(src, dst)
    return np.column_stack([table.low, table.far]).astype(np.float32)


def plane_places(luma: int, chroma: int, dst: int) -> NDArray[np.float32]:
    """(dst, 4) float32: `places` in luma, then those in chroma; one load of 16 bytes."""
    return np.column_stack([places(luma, dst), places(chroma, dst)])


def weights_of_planes(
    ten_bits: bool,
    matrix: ColourMatrix,
    full_range: bool,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> NDArray[np.float32]:
    """`tables.tensor_from_yuv`; for words of 16 bits with 10 in the upper part, if `ten_bits`.

    Of 10 bits, limited range is four times that of 8; full range goes up to 1023 with grey at 512
    (ITU-R BT.2100 table 9).
    """
    weights = tensor_from_yuv(matrix, full_range, mean, std).astype(np.float64)
    if ten_bits:
        scale = 255 / 1023 / 64 if full_range else 1 / 256
        grey = 128 - 512 * 64 * scale  # what is missing to the grey of 8 bits
        weights[:, 3] += (weights[:, 1] + weights[:, 2]) * grey
        weights[:, :3] *= scale
    return weights.astype(np.float32)


def weights_of_bgr(mean: tuple[float, ...], std: tuple[float, ...]) -> NDArray[np.float32]:
    """`tables.tensor_from_bgr`."""
    return tensor_from_bgr(mean, std)


def blending(table: BlendTable) -> NDArray[np.uint32]:
    """(256, 4) uint32: 256 - alpha, then colour * alpha + 128 of the three channels."""
    keep = np.uint16(256) - table.alpha
    return np.column_stack([keep, table.pattern[:, :3]]).astype(np.uint32)
