"""The worker of an engine that runs in the GPU's memory.

All work of a frame is put on the context's stream: upload (of a frame that is not there already),
preprocessing, inference, postprocessing, overlay, downloads. The host waits once, for the event
behind the last of them. From the second frame of a form on, the three in the middle are one graph.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from rtseg.device.failures import translated
from rtseg.device.memory import Form, Memory
from rtseg.device.transfer import put, take, to_host
from rtseg.frame import DevicePicture, Frame, Picture
from rtseg.model import Model
from rtseg.overlay.device import DeviceBrush
from rtseg.overlay.painter import OverlayPainter, Painter
from rtseg.segmentation import Segmentation
from rtseg.workers.buffers import Buffers, Clock
from rtseg.workers.host import paint_on_host
from rtseg.workers.inference import Inference

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtseg.backends.base import DeviceEngine

cuda: Any = import_module("numba.cuda")  # it has few types

_WHAT = "segmenting a frame"


class DeviceWorker:
    """A `Worker` with one context of a device engine.

    memory: counts the buffers, which are as large as the frames and allocated at the first frame
    of a size. Several threads may use it, one at a time. Raises EngineError.
    """

    def __init__(self, model: Model, engine: DeviceEngine, memory: Memory) -> None:
        self._model, self._memory = model, memory
        self._context = engine.device_context()
        with translated("starting a worker"):
            self._clock = Clock(self._context.stream)
        self._buffers: Buffers | None = None
        self._inference: Inference | None = None
        self._brush: DeviceBrush | None = None

    def segment(self, frame: Frame, labels: NDArray[np.uint8] | None = None) -> Segmentation:
        """See `Worker.segment`. The timings are those of the GPU."""
        with translated(_WHAT):
            image = self._start(frame)
            return self._finish(frame, image, labels)

    def render(
        self, frame: Frame, painter: Painter, labels: NDArray[np.uint8] | None = None
    ) -> tuple[Segmentation, Picture | DevicePicture]:
        """See `Worker.render`. An overlay is painted on the GPU, anything else on the host, and so
        are pictures on the GPU that are neither nv12 nor bgr, as our buffers are."""
        if not isinstance(painter, OverlayPainter):
            return paint_on_host(painter, _hosted(frame), self.segment(frame, labels))
        if isinstance(frame.image, DevicePicture) and frame.image.layout not in ("nv12", "bgr"):
            # The frame as it is: for one on the host the painter may get a canvas on the GPU.
            return paint_on_host(painter, frame, self.segment(frame, labels))
        with translated(_WHAT):
            image = self._start(frame)
            out = painter.canvas(frame)
            self._paint(image, painter, out, painter.status(frame))
            segmentation = self._finish(frame, image, labels)
        if not isinstance(out, DevicePicture):
            assert self._buffers is not None
            take(self._buffers.painted_host.planes, out)
        return segmentation, out

    def _start(self, frame: Frame) -> DevicePicture:
        """Put everything up to the labels on the stream; the picture on the GPU."""
        cuda.current_context()  # of this thread, which may have none yet
        buffers, inference = self._prepared_for(frame.image)
        if not isinstance(frame.image, DevicePicture):
            put(frame.image, buffers.frame_host.planes)
        self._clock.start()
        image = self._on_device(frame.image, buffers)
        self._clock.mark("upload")
        inference.enqueue(image)
        return image

    def _on_device(self, image: Picture | DevicePicture, buffers: Buffers) -> DevicePicture:
        stream = self._context.stream
        if isinstance(image, DevicePicture):
            if image.ready is not None:
                image.ready.wait(stream)
            return image
        buffers.frame.flat.copy_to_device(buffers.frame_host.flat, stream=stream)
        if isinstance(image, np.ndarray):
            return buffers.frame.picture("bt709", True)
        return buffers.frame.picture(image.matrix, image.full_range)

    def _paint(
        self,
        image: DevicePicture,
        painter: OverlayPainter,
        out: Picture | DevicePicture,
        status: str,
    ) -> None:
        """Put the overlay on the stream, and its download unless it stays on the GPU."""
        assert self._buffers is not None
        if self._brush is None or self._brush.overlay is not painter.overlay:
            self._brush = DeviceBrush(painter.overlay, self._memory)
        stays = isinstance(out, DevicePicture)
        target = out if stays else self._buffers.painted.picture(image.matrix, image.full_range)
        assert isinstance(target, DevicePicture)
        stream = self._context.stream
        self._brush.paint(image, self._buffers.labels, target, status, stream=stream)
        self._clock.mark("overlay")
        if not stays:
            flat = self._buffers.painted_host.flat
            self._buffers.painted.flat.copy_to_host(flat, stream=stream)

    def _finish(
        self, frame: Frame, image: DevicePicture, labels: NDArray[np.uint8] | None
    ) -> Segmentation:
        """Download the labels, wait for everything, and copy them where they are wanted."""
        buffers, inference, stream = self._buffers, self._inference, self._context.stream
        assert buffers is not None
        assert inference is not None
        buffers.labels.copy_to_host(buffers.labels_host, stream=stream)
        buffers.valid.copy_to_host(buffers.valid_host, stream=stream)
        timings = self._clock.finish("download")
        if labels is None:
            labels = np.empty((frame.height, frame.width), np.uint8)
        valid = bool(buffers.valid_host[0])
        labels[...] = buffers.labels_host if valid else 255
        if valid:
            inference.record(image)  # once for each kind of picture
        return Segmentation(
            labels, self._model.classes, valid, timings, frame.index, frame.pts, frame.time_base
        )

    def _prepared_for(self, image: Any) -> tuple[Buffers, Inference]:
        """For frames of this size and kind; what was for another one is freed."""
        form = Form.of(image)
        if self._buffers is None or self._inference is None or self._buffers.form != form:
            if self._inference is not None:
                self._inference.close()
            self._inference = self._buffers = None
            self._buffers = Buffers(form, self._memory)
            self._inference = Inference(
                self._model.contract, self._context, self._buffers, self._clock
            )
        return self._buffers, self._inference


def _hosted(frame: Frame) -> Frame:
    """The frame with its picture in the machine's memory."""
    if not isinstance(frame.image, DevicePicture):
        return frame
    return replace(frame, image=to_host(frame.image))
