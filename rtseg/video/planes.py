"""Decoder frames → `Yuv420`: plane views, colour tags, other pixel formats, rotation."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import av
import cv2
import numpy as np
from av.codec.hwaccel import HWAccel
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from rtseg.frame import ColourMatrix, DevicePicture, Yuv420

if TYPE_CHECKING:
    from numpy.typing import NDArray

# AVColorSpace → matrix. FCC is close to BT.601 and SMPTE 240M to BT.709; bt470bg and smpte170m
# are both BT.601. Not here: RGB (0), unspecified (2) and the rare rest.
_MATRICES: dict[int, ColourMatrix] = {
    1: "bt709",
    4: "bt601",
    5: "bt601",
    6: "bt601",
    7: "bt709",
    9: "bt2020",
    10: "bt2020",
}
_SWSCALE = {
    "bt601": Colorspace.ITU601,
    "bt709": Colorspace.ITU709,
    "bt2020": Colorspace.BT2020,
}
_NEUTRAL = 128  # chroma of grey


@dataclass(frozen=True, slots=True)
class Orientation:
    """How to turn a picture for display: transpose it, then mirror it."""

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after turning."""
        return (height, width) if self.transpose else (width, height)

    def plane(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The turned plane, a new array unless there is nothing to do."""
        turned: NDArray[np.uint8] = plane
        if self.transpose:
            turned = cv2.transpose(turned).astype(np.uint8, copy=False)
        if self.mirror_x or self.mirror_y:
            code = -1 if self.mirror_x and self.mirror_y else int(self.mirror_x)
            turned = cv2.flip(turned, code).astype(np.uint8, copy=False)
        return turned

    def picture(self, image: Yuv420) -> Yuv420:
        if self == UPRIGHT:
            return image
        y, u, v = (self.plane(plane) for plane in (image.y, image.u, image.v))
        return Yuv420(y, u, v, image.matrix, image.full_range)


UPRIGHT = Orientation()


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """From the frame's display matrix: x' = a·x + c·y, y' = b·x + d·y, fixed point, y down."""
    # Of a tiny copy: PyAV ties a frame to its side data in a cycle, which would hold the memory of
    # the picture until the garbage collector runs.
    side: Any = frame.reformat(width=8, height=8, threads=1).side_data.get("DISPLAYMATRIX")
    if side is None:
        return UPRIGHT
    a, b, _, c, d = struct.unpack_from("=5i", bytes(side))
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, mirror_x=c < 0, mirror_y=b < 0)
    return Orientation(False, mirror_x=a < 0, mirror_y=d < 0)


class FrameReader(Protocol):
    """Turns decoder frames into pictures.

    hwaccel: what PyAV is to decode with; None for the processor.
    """

    @property
    def hwaccel(self) -> HWAccel | None: ...
    def read(self, frame: av.VideoFrame) -> Yuv420 | DevicePicture: ...
    def close(self) -> None: ...


class PlaneReader:
    """Turns decoder frames into `Yuv420`, without a copy where the format allows it.

    matrix: used instead of the file's own tag.
    """

    hwaccel = None

    def __init__(self, matrix: ColourMatrix | None = None) -> None:
        self._matrix = matrix
        self._reformatter = VideoReformatter()

    def read(self, frame: av.VideoFrame) -> Yuv420:
        """The planes of a frame, read-only: the decoder may still refer to them."""
        matrix, full = self._matrix or matrix_of(frame), is_full_range(frame)
        name = frame.format.name
        if name in ("yuv420p", "yuvj420p"):
            return _planes(frame, matrix, full)
        if name == "gray":
            return _grey(frame, matrix, full)
        if frame.format.is_rgb or name == "pal8":
            return _planes(self._from_rgb(frame), "bt709", False)
        return _planes(self._subsample(frame, matrix, full), matrix, full)

    def close(self) -> None:
        """Nothing is held."""

    def _subsample(self, frame: av.VideoFrame, matrix: ColourMatrix, full: bool) -> av.VideoFrame:
        """Other depths and subsamplings → 8-bit 4:2:0, matrix and range untouched."""
        space = _SWSCALE[matrix]
        spread = ColorRange.JPEG if full else ColorRange.MPEG
        return self._reformatter.reformat(
            frame,
            format="yuv420p",
            src_colorspace=space,
            dst_colorspace=space,
            src_color_range=spread,
            dst_color_range=spread,
            threads=1,
        )

    def _from_rgb(self, frame: av.VideoFrame) -> av.VideoFrame:
        return self._reformatter.reformat(
            frame,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )


def device_format(frame: av.VideoFrame) -> str | None:
    """The pixel format of a frame on the GPU; None for one that is not there."""
    if frame.format.name != "cuda":
        return None
    return frame.sw_format.name if frame.sw_format else "unknown"


def matrix_of(frame: av.VideoFrame) -> ColourMatrix:
    """The frame's tag; untagged, BT.709 from 720 rows up and BT.601 below, as players guess."""
    guess: ColourMatrix = "bt709" if frame.height >= 720 else "bt601"
    return _MATRICES.get(frame.colorspace, guess)


def is_full_range(frame: av.VideoFrame) -> bool:
    """The frame's tag; untagged, yuvj and grey are 0–255 (as FFmpeg takes them), others 16–235."""
    if frame.color_range in (ColorRange.MPEG, ColorRange.JPEG):
        return frame.color_range == ColorRange.JPEG
    return frame.format.name.startswith(("yuvj", "gray"))


def plane_view(plane: VideoPlane) -> NDArray[np.uint8]:
    """(height, width) uint8 view of a plane; it keeps the frame and its memory alive.

    Rows are `line_size` bytes apart; a negative one means that the last row comes first.
    """
    step = plane.line_size
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, abs(step))
    return rows[:, : plane.width] if step > 0 else rows[::-1, : plane.width]


def _planes(frame: av.VideoFrame, matrix: ColourMatrix, full: bool) -> Yuv420:
    y, u, v = (plane_view(plane) for plane in frame.planes)
    for plane in (y, u, v):
        plane.flags.writeable = False
    return Yuv420(y, u, v, matrix, full)


def _grey(frame: av.VideoFrame, matrix: ColourMatrix, full: bool) -> Yuv420:
    y = plane_view(frame.planes[0])
    y.flags.writeable = False
    chroma = np.full(((frame.height + 1) // 2, (frame.width + 1) // 2), _NEUTRAL, np.uint8)
    chroma.flags.writeable = False
    return Yuv420(y, chroma, chroma, matrix, full)
