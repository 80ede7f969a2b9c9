"""How far TensorRT's builder is, and stopping it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with the phase's name, the steps done and the steps there are. From any thread; phases
nest and may run at the same time."""


def monitor_of(trt: Any, progress: Progress | None) -> Any:
    """A `trt.IProgressMonitor` that passes on each step.

    No exception may pass through the builder: one that `progress` raises, or Ctrl-C, stops the
    build and stands in `stopped_by` afterwards.
    """

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.stopped_by: BaseException | None = None
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            del parent_phase
            self._steps[phase_name] = num_steps
            self._tell(phase_name, 0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._tell(phase_name, step + 1)
            return self.stopped_by is None

        def phase_finish(self, phase_name: str) -> None:
            self._tell(phase_name, self._steps.get(phase_name, 0))

        def _tell(self, phase: str, done: int) -> None:
            try:
                if progress is not None and self.stopped_by is None:
                    progress(phase, done, self._steps.get(phase, done))
            except BaseException as exc:
                self.stopped_by = exc

    return Monitor()


@contextmanager
def stopped_by_ctrl_c(monitor: Any) -> Iterator[None]:
    """Ctrl-C stops the build at its next step, with KeyboardInterrupt in `stopped_by`.

    Python would raise it where the builder calls the monitor, in front of every `try`, and the
    builder would swallow it. Nothing is done where no signal comes: in other threads than the main
    one, and in a process that ignores it, as one in the background does.
    """
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    if ignored or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        monitor.stopped_by = KeyboardInterrupt()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
