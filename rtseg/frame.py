"""Frames: pixels with their place in time, frozen and checked at the boundary."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ColourMatrix: TypeAlias = Literal["bt601", "bt709", "bt2020"]


@dataclass(frozen=True, slots=True, eq=False)
class Yuv420:
    """Planar YUV with 4:2:0 subsampling, as video decoders give it and encoders take it.

    y: (H, W) uint8; u, v: (ceil(H/2), ceil(W/2)) uint8. Rows may be padded (any row stride), the
    last axis is contiguous. `full_range` is True for 0–255 luma ("pc"), False for 16–235 ("tv").
    """

    y: NDArray[np.uint8]
    u: NDArray[np.uint8]
    v: NDArray[np.uint8]
    matrix: ColourMatrix = "bt709"
    full_range: bool = False

    def __post_init__(self) -> None:
        _check_plane("y", self.y)
        _check_plane("u", self.u)
        _check_plane("v", self.v)
        height, width = self.y.shape
        want = ((height + 1) // 2, (width + 1) // 2)
        if self.u.shape != want or self.v.shape != want:
            raise ValueError(
                f"chroma planes of {self.u.shape} and {self.v.shape} do not fit luma of "
                f"{self.y.shape}; expected {want}"
            )

    @property
    def height(self) -> int:
        return int(self.y.shape[0])

    @property
    def width(self) -> int:
        return int(self.y.shape[1])


Picture: TypeAlias = "NDArray[np.uint8] | Yuv420"
"""Pixels: a (H, W, 3) uint8 BGR array, or `Yuv420` planes."""

Layout: TypeAlias = Literal["nv12", "p010", "i420", "bgr"]
"""How pixels lie on the device, see `DevicePicture`."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class DevicePicture:
    """A picture in the GPU's memory. Rows may be padded, the last axes are contiguous.

    planes, all uint8 but for p010:
        nv12  (H, W) luma, (ceil(H/2), ceil(W/2), 2) chroma, u before v
        p010  the same as uint16, the 10 bits in the upper part of each word
        i420  (H, W), and twice (ceil(H/2), ceil(W/2)): y, u, v
        bgr   (H, W, 3)
    Each has `shape`, `dtype`, `strides` and `__cuda_array_interface__`. matrix, full_range: as in
    `Yuv420`; of no meaning for bgr. ready: a CUDA event before which the pixels are not there yet,
    to be waited for on the stream that reads them; None if they are.
    """

    planes: tuple[Any, ...]
    layout: Layout
    matrix: ColourMatrix = "bt709"
    full_range: bool = False
    ready: Any = None

    def __post_init__(self) -> None:
        height, width = self.planes[0].shape[:2]
        half = ((height + 1) // 2, (width + 1) // 2)
        want: dict[str, tuple[tuple[int, ...], ...]] = {
            "nv12": ((height, width), (*half, 2)),
            "p010": ((height, width), (*half, 2)),
            "i420": ((height, width), half, half),
            "bgr": ((height, width, 3),),
        }
        shapes = tuple(tuple(plane.shape) for plane in self.planes)
        if shapes != want[self.layout] or 0 in shapes[0]:
            raise ValueError(f"planes of {shapes} for {self.layout}; expected {want[self.layout]}")
        kind = np.uint16 if self.layout == "p010" else np.uint8
        if any(plane.dtype != kind for plane in self.planes):
            raise ValueError(
                f"planes of {[str(p.dtype) for p in self.planes]}; expected {kind.__name__}"
            )

    @property
    def height(self) -> int:
        return int(self.planes[0].shape[0])

    @property
    def width(self) -> int:
        return int(self.planes[0].shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a source.

    image: (H, W, 3) uint8 BGR, `Yuv420`, or a picture on the GPU.
    index: position in the source, from 0, counted before any stride or drop.
    pts: presentation time stamp in units of `time_base` (seconds, exact); None if the source
        has no time (a folder of images).
    corrupt: the decoder concealed damage in this frame.
    """

    image: Picture | DevicePicture
    index: int = 0
    pts: int | None = None
    time_base: Fraction = Fraction(1, 1)
    corrupt: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.image, np.ndarray):
            check_bgr(self.image)

    @property
    def height(self) -> int:
        return int(size_of(self.image)[1])

    @property
    def width(self) -> int:
        return int(size_of(self.image)[0])

    @property
    def seconds(self) -> float | None:
        """Presentation time in seconds, or None where the source has no time."""
        return None if self.pts is None else float(self.pts * self.time_base)


def size_of(image: Picture | DevicePicture) -> tuple[int, int]:
    """(width, height) of a picture, in pixels."""
    if isinstance(image, Yuv420 | DevicePicture):
        return image.width, image.height
    return int(image.shape[1]), int(image.shape[0])


def empty_like(image: Picture | DevicePicture) -> Picture:
    """New memory for a picture of the same size and colours; its content is unknown.

    It is the machine's own memory, also for a picture on the GPU.
    """
    width, height = size_of(image)
    if isinstance(image, np.ndarray) or (
        isinstance(image, DevicePicture) and image.layout == "bgr"
    ):
        return np.empty((height, width, 3), np.uint8)
    half = ((height + 1) // 2, (width + 1) // 2)
    y, u, v = (np.empty(shape, np.uint8) for shape in ((height, width), half, half))
    return Yuv420(y, u, v, image.matrix, image.full_range)


def check_bgr(image: NDArray[np.uint8]) -> None:
    """Raise ValueError unless `image` is a non-empty (H, W, 3) uint8 array."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(
            f"an image of shape {image.shape} and type {image.dtype}; expected (H, W, 3) uint8 in "
            "BGR order, as OpenCV reads it"
        )


def _check_plane(name: str, plane: NDArray[np.uint8]) -> None:
    if plane.dtype != np.uint8 or plane.ndim != 2 or plane.size == 0:
        raise ValueError(f"plane {name} is {plane.shape} {plane.dtype}; expected (H, W) uint8")
    if plane.strides[1] != 1:
        raise ValueError(f"plane {name} has pixels {plane.strides[1]} bytes apart; expected 1")
