"""`Segmenter`: a model, the engine compiled for it, and the workers around it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtseg.backends import Precision, build_engine
from rtseg.closing import Closing
from rtseg.device.memory import Memory
from rtseg.frame import Frame
from rtseg.model import DEFAULT, Model
from rtseg.segmentation import Segmentation
from rtseg.workers import Worker, compile_kernels, on_device, open_worker

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtseg.backends.base import DeviceEngine, HostEngine
    from rtseg.backends.plan_key import BuildOptions
    from rtseg.backends.trt_progress import Progress


DEVICE_STREAMS = 3
"""Workers that share a GPU at the most: while one computes, the frames of the others are copied in
and out. Each takes memory for an inference."""


class Segmenter(Closing):
    """Segments frames and images with one model.

    model: a shipped model's name, a model file, or a loaded `Model`.
    size: network input (width, height), multiples of the model's stride; by default the aspect
        ratio of the first frame at about the pixel count the model was trained for.
    backend, precision, options: see `rtseg.backends.build_engine`.
    streams: how many workers run at the same time, for a pipeline; at most `DEVICE_STREAMS` once
        the engine is one on a GPU. threads: CPU threads in all.
    memory: counts what the workers have allocated on the GPU.

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
        options: BuildOptions | None = None,
        streams: int = 1,
        threads: int | None = None,
    ) -> None:
        self.model = model if isinstance(model, Model) else Model.load(model)
        self.size = self.model.check_size(size) if size else None
        self.streams = streams
        self.memory = Memory()
        self._options: dict[str, Any] = {
            "backend": backend, "precision": precision, "options": options, "streams": streams,
            "threads": threads,
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
            self._own = self._own or open_worker(self.model, engine, self.memory)
            return self._own.segment(frame)

    def stream(self, source: str | Path, **options: Any) -> Iterator[tuple[Frame, Segmentation]]:
        """Each frame of a source with its labels; `options` are those of `open_source`."""
        from rtseg.video.sources import open_source

        with open_source(source, **options) as frames:
            for frame in frames:
                yield frame, self(frame)

    def engine(
        self,
        width: int,
        height: int,
        *,
        progress: Progress | None = None,
        say: Callable[[str], None] | None = None,
    ) -> HostEngine | DeviceEngine:
        """The engine, compiled with all kernels if none is yet, for sources of that size.

        progress, say: see `rtseg.backends.build_engine`. Raises EngineError.
        """
        with self._lock:
            if self._engine is None:
                self.size = self.size or self.model.input_size(width, height)
                engine = build_engine(
                    self.model, self.size, progress=progress, say=say, **self._options
                )
                try:
                    compile_kernels(engine)
                except BaseException:
                    engine.close()
                    raise
                if on_device(engine):
                    self.streams = min(self.streams, DEVICE_STREAMS)
                self._engine = engine
            return self._engine

    def worker(self, width: int, height: int) -> Worker:
        """A worker for one thread; sources of that size decide on the engine if none is built."""
        return open_worker(self.model, self.engine(width, height), self.memory)

    @property
    def on_device(self) -> bool:
        """Whether the engine is built and runs on a GPU, where frames may then stay."""
        return self._engine is not None and on_device(self._engine)

    def close(self) -> None:
        """Free the engine. Workers must not be used any more."""
        with self._lock:
            if self._engine is not None:
                self._engine.close()
            self._engine = self._own = None
