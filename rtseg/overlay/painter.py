"""Who paints the pictures that sinks show: any function of a frame and its labels, or an overlay
that a worker can also paint on the GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from rtseg.frame import DevicePicture, Frame, Picture
from rtseg.overlay import Overlay
from rtseg.segmentation import Segmentation

Painter: TypeAlias = Callable[[Frame, Segmentation], Picture]
"""Makes the picture that sinks show; called by several threads."""


class OverlayPainter:
    """A `Painter` that draws an overlay into the pictures of a sink.

    canvas: gives the picture to draw on, such as `VideoSink.picture_for`, which is the memory that
    will be encoded; only a worker on the GPU may be given one that is there. status: makes the
    status line.
    """

    def __init__(
        self,
        overlay: Overlay,
        canvas: Callable[[Frame], Picture | DevicePicture],
        status: Callable[[Frame], str] = lambda _: "",
    ) -> None:
        self.overlay, self.canvas, self.status = overlay, canvas, status

    def __call__(self, frame: Frame, segmentation: Segmentation) -> Picture:
        out = self.canvas(frame)
        assert not isinstance(out, DevicePicture), "a picture on the GPU for a worker on the CPU"
        return self.overlay.paint(frame, segmentation, out, self.status(frame))
