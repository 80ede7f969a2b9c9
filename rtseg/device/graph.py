"""CUDA graphs: what is put on a stream, recorded once and launched as one.

numba has no interface to them. These are the driver's own functions, through the `cuda.bindings`
that numba-cuda brings along:
https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__GRAPH.html
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

from rtseg.device.arrays import Stream
from rtseg.errors import EngineError


def driver_call(name: str, *arguments: Any) -> Any:
    """Call a function of the CUDA driver; what it returns besides its code, None if nothing.

    Raises EngineError for every code but success, and where there is no driver.
    """
    try:
        driver: Any = import_module("cuda.bindings.driver")
        code, *values = getattr(driver, name)(*arguments)
    except (ImportError, RuntimeError) as exc:
        raise EngineError(f"{name} of the CUDA driver cannot be called: {exc}") from exc
    if code != driver.CUresult.CUDA_SUCCESS:
        raise EngineError(f"{name} of the CUDA driver failed: {_described(driver, code)}")
    return values[0] if values else None


class Graph:
    """A recorded sequence of work. Memory addresses and shapes are those of the recording.

    One launch at a time: each is ordered behind the one before.
    """

    def __init__(self, executable: Any, stream: Any) -> None:
        self._executable = executable
        self._stream = stream
        self._free = weakref.finalize(self, _destroy, executable)
        self._free.atexit = False  # the process takes the driver down with it

    @classmethod
    def capture(cls, stream: Stream, enqueue: Callable[[], None]) -> Graph:
        """Record what `enqueue` puts on `stream`, which must not be the default stream.

        `enqueue` runs once, in thread-local mode: other threads may allocate and launch meanwhile,
        but work of this thread that cannot be recorded (an allocation, a synchronisation) ends the
        recording. Run everything once before, so that it is allocated and compiled. The recorded
        work is not executed. Raises EngineError, also when instantiation refuses; an error of
        `enqueue` passes through. In both cases the stream can be used again.
        """
        driver: Any = import_module("cuda.bindings.driver")
        handle = driver.CUstream(int(stream))
        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        driver_call("cuStreamBeginCapture", handle, mode)
        try:
            enqueue()
        except BaseException:
            _abandon(handle)
            raise
        recorded = driver_call("cuStreamEndCapture", handle)
        try:
            return cls(driver_call("cuGraphInstantiate", recorded, 0), handle)
        finally:
            driver_call("cuGraphDestroy", recorded)

    def launch(self) -> None:
        """Put the recorded work on its stream, without waiting. Raises EngineError."""
        driver_call("cuGraphLaunch", self._executable, self._stream)

    def close(self) -> None:
        """Free the graph; a launch that is still running ends first."""
        self._free()


def record_event(event: Any, stream: Stream) -> None:
    """While `stream` is recorded: each launch records numba's `event` there, as by `event.record`.

    Raises EngineError.
    """
    driver: Any = import_module("cuda.bindings.driver")
    external = driver.CUevent_record_flags.CU_EVENT_RECORD_EXTERNAL.value
    handles = driver.CUevent(int(event.handle)), driver.CUstream(int(stream))
    driver_call("cuEventRecordWithFlags", *handles, external)


def _abandon(stream: Any) -> None:
    """End a recording that failed; the driver reports that failure a second time here."""
    with suppress(EngineError):
        _drop("cuGraphDestroy", driver_call("cuStreamEndCapture", stream))


def _destroy(executable: Any) -> None:
    _drop("cuGraphExecDestroy", executable)


def _drop(name: str, handle: Any) -> None:
    with suppress(EngineError):  # nothing can be done about what cannot be freed
        driver_call(name, handle)


def _described(driver: Any, code: Any) -> str:
    """The code with its name, such as "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED (901), …"."""
    known, text = driver.cuGetErrorString(code)
    words = text.decode() if known == driver.CUresult.CUDA_SUCCESS and text else "unknown"
    return f"{getattr(code, 'name', code)} ({int(code)}), {words}"
