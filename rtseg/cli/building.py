"""What is shown while an engine is built: notes, and bars for the builder's phases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rtseg.closing import Closing

if TYPE_CHECKING:
    from rich.progress import TaskID


class BuildBars(Closing):
    """Bars for the phases of a build, and notes above them; bars on a terminal only.

    started: called before anything is shown, to take something else away. A phase is shown until
    it is done; phases nest.
    """

    def __init__(
        self, terminal: Console | None = None, started: Callable[[], None] | None = None
    ) -> None:
        self._terminal = terminal or Console(stderr=True, highlight=False)
        self._started = started or (lambda: None)
        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._terminal, transient=True, disable=not self._terminal.is_terminal,
        )  # fmt: skip
        self._phases: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def say(self, note: str) -> None:
        """Print a note."""
        with self._lock:
            self._started()
            self._terminal.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)

    def tell(self, phase: str, done: int, total: int) -> None:
        """How far a phase is, as the builder says it; from any thread."""
        with self._lock:
            self._started()
            self._bars.start()
            if phase not in self._phases:
                self._phases[phase] = self._bars.add_task(f"  {escape(phase)}")
            self._bars.update(
                self._phases[phase], completed=done, total=total, visible=done < total
            )

    def close(self) -> None:
        """Take the bars away."""
        self._bars.stop()
