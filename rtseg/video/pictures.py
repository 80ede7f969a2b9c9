"""Encoder frames as `Yuv420` planes: lent to be drawn on, padded and encoded in place."""

from __future__ import annotations

import weakref
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

from rtseg.frame import ColourMatrix, Yuv420
from rtseg.video.planes import plane_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SPARE = 8  # frames kept for reuse, 1.4 MB each at 720p


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """An encoder frame of even size, and its planes as arrays of that size."""

    frame: av.VideoFrame
    y: NDArray[np.uint8]
    u: NDArray[np.uint8]
    v: NDArray[np.uint8]

    @classmethod
    def blank(cls, width: int, height: int) -> Canvas:
        """A canvas that holds width x height pixels; odd sizes are rounded up to even."""
        frame = av.VideoFrame(width + width % 2, height + height % 2, "yuv420p")
        return cls(frame, *(plane_view(plane) for plane in frame.planes))

    def area(self, width: int, height: int, matrix: ColourMatrix, full_range: bool) -> Yuv420:
        """The upper left width x height pixels, to be written."""
        y = self.y[:height, :width]
        u, v = (plane[: (height + 1) // 2, : (width + 1) // 2] for plane in (self.u, self.v))
        return Yuv420(y, u, v, matrix, full_range)

    def pad(self, width: int, height: int) -> None:
        """Repeat the last row and column of the luma where the size is odd."""
        if width % 2:
            self.y[:, width] = self.y[:, width - 1]
        if height % 2:
            self.y[height] = self.y[height - 1]


class CanvasPool:
    """Canvases of one size, lent as pictures and used again after they were encoded.

    Drawing on them saves the copy into an encoder frame, 0.1 ms at 720p. x264 copies a frame
    itself before `encode` returns, so its memory is free then. Any thread may borrow.
    """

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self._spare: deque[Canvas] = deque(maxlen=_SPARE)
        self._lent: dict[int, Canvas] = {}  # by the identity of the lent picture's luma array

    def take(self) -> Canvas:
        """A canvas with unknown content."""
        try:
            return self._spare.pop()
        except IndexError:
            return Canvas.blank(*self.size)

    def lend(self, matrix: ColourMatrix, full_range: bool) -> Yuv420:
        """A picture whose planes are those of a canvas; `claim` finds the canvas again."""
        canvas = self.take()
        picture = canvas.area(*self.size, matrix, full_range)
        key = id(picture.y)
        self._lent[key] = canvas
        # A picture that is dropped instead of written must not keep its canvas.
        weakref.finalize(picture.y, self._lent.pop, key, None).atexit = False
        return picture

    def claim(self, picture: Yuv420) -> Canvas | None:
        """The canvas behind a lent picture; None if it is not one, or was claimed before."""
        return self._lent.pop(id(picture.y), None)

    def give_back(self, canvas: Canvas) -> None:
        self._spare.append(canvas)


def copy(picture: Yuv420, out: Yuv420) -> None:
    """Copy the planes of a picture into others of the same size."""
    out.y[:], out.u[:], out.v[:] = picture.y, picture.u, picture.v


def fit(picture: Yuv420, out: Yuv420) -> None:
    """Scale a picture into one of another size, centred, with black where the shapes differ."""
    scale = min(out.width / picture.width, out.height / picture.height)
    # Even sizes and offsets, so that luma and chroma stay on each other.
    width = min(out.width, max(2, 2 * round(picture.width * scale / 2)))
    height = min(out.height, max(2, 2 * round(picture.height * scale / 2)))
    left, top = (out.width - width) // 4 * 2, (out.height - height) // 4 * 2
    out.y[:], out.u[:], out.v[:] = (0 if out.full_range else 16), 128, 128
    _scale(picture.y, out.y[top : top + height, left : left + width])
    rows = slice(top // 2, top // 2 + (height + 1) // 2)
    columns = slice(left // 2, left // 2 + (width + 1) // 2)
    _scale(picture.u, out.u[rows, columns])
    _scale(picture.v, out.v[rows, columns])


def _scale(plane: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    smaller = out.shape[0] < plane.shape[0]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    out[:] = cv2.resize(plane, out.shape[::-1], interpolation=how)
