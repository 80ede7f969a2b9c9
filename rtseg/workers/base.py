"""What a worker does, wherever it works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from rtseg.frame import DevicePicture, Frame, Picture
from rtseg.overlay.painter import Painter
from rtseg.segmentation import Segmentation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Worker(Protocol):
    """Segments frames one after another with its own buffers. One thread uses one worker."""

    def segment(self, frame: Frame, labels: NDArray[np.uint8] | None = None) -> Segmentation:
        """Segment one frame, into `labels` (H, W) uint8 of its size if they are given.

        Raises EngineError.
        """
        ...

    def render(
        self, frame: Frame, painter: Painter, labels: NDArray[np.uint8] | None = None
    ) -> tuple[Segmentation, Picture | DevicePicture]:
        """Segment one frame and paint it; "overlay" is among the timings. Raises EngineError."""
        ...
