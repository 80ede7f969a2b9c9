"""Pictures between the machine's memory and surfaces, and back from the GPU."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from rtseg.device.failures import translated
from rtseg.frame import DevicePicture, Picture, Yuv420, empty_like

if TYPE_CHECKING:
    from numpy.typing import NDArray


def put(picture: Picture, planes: tuple[NDArray[np.uint8], ...]) -> None:
    """Copy a picture into planes of its size on the host: nv12 for `Yuv420`, else bgr."""
    if isinstance(picture, Yuv420):
        luma, chroma = planes
        luma[...] = picture.y
        chroma[..., 0], chroma[..., 1] = picture.u, picture.v
    else:
        planes[0][...] = picture


def take(planes: tuple[NDArray[Any], ...], out: Picture) -> Picture:
    """Copy planes on the host, nv12, i420, p010 or bgr, into a picture of that size; 10 bits are
    rounded to 8."""
    if not isinstance(out, Yuv420):
        out[...] = planes[0]
        return out
    chroma = planes[1:] if len(planes) == 3 else (planes[1][..., 0], planes[1][..., 1])
    for source, target in zip((planes[0], *chroma), (out.y, out.u, out.v), strict=True):
        target[...] = source if source.dtype == np.uint8 else _eight_bits(source)
    return out


def to_host(image: Picture | DevicePicture) -> Picture:
    """A picture in the machine's memory: the given one, or a copy of one on the GPU.

    Waits for the copy. Raises EngineError.
    """
    if not isinstance(image, DevicePicture):
        return image
    cuda: Any = import_module("numba.cuda")
    with translated("downloading a picture"):
        cuda.current_context()  # of this thread, which may have none yet
        if image.ready is not None:
            image.ready.synchronize()
        planes = tuple(_download(plane) for plane in image.planes)
    return take(planes, empty_like(image))


def _download(plane: Any) -> NDArray[Any]:
    array: NDArray[Any] = plane.copy_to_host()
    return array


def _eight_bits(words: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """10 bits in the upper part of 16 → 8, halves rounded up."""
    rounded = (words.astype(np.int32) + 128) >> 8
    return rounded.clip(0, 255).astype(np.uint8)
