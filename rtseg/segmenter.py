"""`Segmenter`: a model, the engine compiled for it, and the kernels around it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtseg.backends import Precision, build_engine
from rtseg.closing import Closing
from rtseg.frame import Frame
from rtseg.model import DEFAULT, Model
from rtseg.segmentation import Segmentation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtseg.backends.base import DeviceEngine, HostEngine


class Worker:
    """Segments frames one after another with its own buffers. One thread uses one worker."""

    def __init__(self, model: Model, engine: HostEngine) -> None:
        from rtseg.kernels import cpu

        self._kernels = cpu
        self._model = model
        self._context = engine.context()

    def segment(self, frame: Frame, labels: NDArray[np.uint8] | None = None) -> Segmentation:
        """Segment one frame, into `labels` (H, W) uint8 of its size if they are given."""
        contract = self._model.contract
        if labels is None:
            labels = np.empty((frame.height, frame.width), np.uint8)
        start = time.perf_counter()
        self._kernels.preprocess(frame.image, self._context.input, contract.mean, contract.std)
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


class Segmenter(Closing):
    """Segments frames and images with one model.

    model: a shipped model's name, a model file, or a loaded `Model`.
    size: network input (width, height), multiples of the model's stride; by default the aspect
        ratio of the first frame at about the pixel count the model was trained for.
    backend, precision: see `rtseg.backends.build_engine`.
    streams: how many workers run at the same time, for a pipeline; threads: CPU threads in all.

    The engine is compiled at the first frame. Calls from several threads are served one at a
    time; for parallel work give each thread a `worker`. Raises ModelError, InputError.
    """

    def __init__(
        self,
        model: str | Path | Model = DEFAULT,
        *,
        size: tuple[int, int] | None = None,
        backend: str = "auto",
        precision: Precision = "auto",
        streams: int = 1,
        threads: int | None = None,
    ) -> None:
        self.model = model if isinstance(model, Model) else Model.load(model)
        self.size = self.model.check_size(size) if size else None
        self.streams = streams
        self._options: dict[str, Any] = {
            "backend": backend, "precision": precision, "streams": streams, "threads": threads
        }  # fmt: skip
        self._lock = threading.Lock()
        self._engine: HostEngine | DeviceEngine | None = None
        self._own: Worker | None = None

    def __call__(self, frame: Frame | NDArray[np.uint8]) -> Segmentation:
        """Labels for a frame, or for a (H, W, 3) uint8 BGR image, at its own resolution."""
        if not isinstance(frame, Frame):
            frame = Frame(frame)
        engine = self.engine(frame.width, frame.height)
        with self._lock:
            self._own = self._own or Worker(self.model, engine)
            return self._own.segment(frame)

    def stream(self, source: str | Path, **options: Any) -> Iterator[tuple[Frame, Segmentation]]:
        """Each frame of a source with its labels; `options` are those of `open_source`."""
        from rtseg.video.sources import open_source

        with open_source(source, **options) as frames:
            for frame in frames:
                yield frame, self(frame)

    def engine(self, width: int, height: int) -> HostEngine | DeviceEngine:
        """The engine, compiled with all kernels if none is yet, for sources of that size.

        Raises EngineError.
        """
        with self._lock:
            if self._engine is None:
                self.size = self.size or self.model.input_size(width, height)
                from rtseg.kernels import cpu

                cpu.compile_all()
                self._engine = build_engine(self.model, self.size, **self._options)
            return self._engine

    def worker(self, width: int, height: int) -> Worker:
        """A worker for one thread; sources of that size decide on the engine if none is built."""
        return Worker(self.model, self.engine(width, height))

    def close(self) -> None:
        """Free the engine. Workers must not be used any more."""
        with self._lock:
            if self._engine is not None:
                self._engine.close()
            self._engine = self._own = None
