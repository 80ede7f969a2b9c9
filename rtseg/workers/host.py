"""The worker of an engine that runs in the machine's memory."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rtseg.device.transfer import to_host
from rtseg.frame import Frame, Picture
from rtseg.model import Model
from rtseg.overlay.painter import Painter
from rtseg.segmentation import Segmentation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtseg.backends.base import HostEngine


class HostWorker:
    """A `Worker`: compiled kernels before and after the engine, each waited for."""

    def __init__(self, model: Model, engine: HostEngine) -> None:
        from rtseg.kernels import cpu

        self._kernels = cpu
        self._model = model
        self._context = engine.context()

    def segment(self, frame: Frame, labels: NDArray[np.uint8] | None = None) -> Segmentation:
        """See `Worker.segment`."""
        contract = self._model.contract
        if labels is None:
            labels = np.empty((frame.height, frame.width), np.uint8)
        start = time.perf_counter()
        image = to_host(frame.image)
        self._kernels.preprocess(image, self._context.input, contract.mean, contract.std)
        ready = time.perf_counter()
        logits = self._context.run()
        inferred = time.perf_counter()
        valid = self._kernels.postprocess(logits, labels)
        timings = {
            "preprocess": (ready - start) * 1e3,
            "inference": (inferred - ready) * 1e3,
            "postprocess": (time.perf_counter() - inferred) * 1e3,
        }
        return Segmentation(
            labels, self._model.classes, valid, timings, frame.index, frame.pts, frame.time_base
        )

    def render(
        self, frame: Frame, painter: Painter, labels: NDArray[np.uint8] | None = None
    ) -> tuple[Segmentation, Picture]:
        """See `Worker.render`."""
        return paint_on_host(painter, frame, self.segment(frame, labels))


def paint_on_host(
    painter: Painter, frame: Frame, segmentation: Segmentation
) -> tuple[Segmentation, Picture]:
    """The painted picture, and the segmentation with the time that it took."""
    start = time.perf_counter()
    picture = painter(frame, segmentation)
    timings = {**segmentation.timings, "overlay": (time.perf_counter() - start) * 1e3}
    return replace(segmentation, timings=timings), picture
