"""What a worker on the GPU keeps from frame to frame: its buffers and its clock."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from rtseg.device.arrays import DeviceArray, Stream
from rtseg.device.graph import record_event
from rtseg.device.memory import Form, Memory, Surface
from rtseg.frame import DevicePicture

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Buffers:
    """For frames of one form. Those that a run may not need are allocated when it first does.

    frame, frame_host: of an upload. painted, painted_host: of a download. labels, labels_host:
    (H, W) uint8. valid, valid_host: (1,) int32.
    """

    def __init__(self, form: Form, memory: Memory) -> None:
        """Raises EngineError."""
        self.form, self._memory = form, memory
        shape = form.height, form.width
        self.labels: DeviceArray = memory.on_device(shape, np.uint8)
        self.labels_host: NDArray[np.uint8] = memory.on_host(shape, np.uint8)
        self.valid: DeviceArray = memory.on_device((1,), np.int32)
        self.valid_host: NDArray[np.int32] = memory.on_host((1,), np.int32)

    @cached_property
    def frame(self) -> Surface:
        return Surface.on_device(self.form, self._memory)

    @cached_property
    def frame_host(self) -> Surface:
        return Surface.on_host(self.form, self._memory)

    def uploaded(self, image: DevicePicture) -> bool:
        """Whether a picture lies in `frame`."""
        return "frame" in vars(self) and image.planes is self.frame.planes

    @cached_property
    def painted(self) -> Surface:
        return Surface.on_device(self.form, self._memory)

    @cached_property
    def painted_host(self) -> Surface:
        return Surface.on_host(self.form, self._memory)


class Clock:
    """Milliseconds between points of a stream, by events on it: one for the end of each stage."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._events: dict[str, Any] = {}  # made once
        self._passed: list[str] = []

    def start(self) -> None:
        """The point that the first stage begins at."""
        self._passed.clear()
        self.mark("start")

    def mark(self, stage: str) -> None:
        """The point that a stage ends at, and the next one begins."""
        self.passed(stage)
        self._event(stage).record(self._stream)

    def mark_recorded(self, stage: str) -> None:
        """While the stream is recorded into a graph: each launch of it marks the stage's end."""
        record_event(self._event(stage), self._stream)

    def passed(self, *stages: str) -> None:
        """These stages come next, and what was launched marks their ends."""
        self._passed += stages

    def finish(self, stage: str) -> dict[str, float]:
        """Mark the end of the last stage, wait for it, and give the milliseconds of each.

        The thread spins meanwhile, which takes its core: numba makes no event that a thread sleeps
        on (CU_EVENT_BLOCKING_SYNC), and the primary context has the driver's default schedule.
        """
        self.mark(stage)
        self._event(stage).synchronize()
        return {
            name: float(self._event(before).elapsed_time(self._event(name)))
            for before, name in pairwise(self._passed)
        }

    def _event(self, stage: str) -> Any:
        if stage not in self._events:
            from numba import cuda

            self._events[stage] = cuda.event()
        return self._events[stage]
