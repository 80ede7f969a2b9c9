"""What TensorRT says: its logger, and its failures as EngineError.

TensorRT returns nothing when something fails; the reason is only in the log. It keeps the first
logger that a process registers and ignores every later one, so there is one for all.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from rtseg.errors import EngineError

KEPT = 12
"""How many messages are kept; an error often stands a few lines above the one that ends it."""

SILENT = "TensorRT gave no reason in its log"


@lru_cache(maxsize=1)
def logger_of(trt: Any) -> Any:
    """The process's one `trt.ILogger`: keeps the last warnings and errors, prints nothing.

    `reasons()` gives the errors kept, or the warnings if there are none; `forget()` lets go of all,
    before something begins whose failure they would not explain.
    """

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self._lock = threading.Lock()  # the builder logs from its own threads
            self._kept: deque[tuple[bool, str]] = deque(maxlen=KEPT)

        def log(self, severity: Any, msg: str) -> None:
            severities = trt.ILogger.Severity
            error = severity in (severities.ERROR, severities.INTERNAL_ERROR)
            if error or severity == severities.WARNING:
                with self._lock:
                    self._kept.append((error, msg.strip()))

        def reasons(self) -> str:
            with self._lock:
                kept = list(self._kept)
            chosen = [text for error, text in kept if error] or [text for _, text in kept]
            return "; ".join(dict.fromkeys(chosen)) or SILENT

        def forget(self) -> None:
            with self._lock:
                self._kept.clear()

    return Logger()


@contextmanager
def translated(what: str, log: Any) -> Iterator[None]:
    """Errors of the binding become EngineError: "TensorRT cannot <what>: …"."""
    try:
        yield
    except (RuntimeError, TypeError, ValueError) as exc:
        raise EngineError(f"TensorRT cannot {what}: {exc} ({log.reasons()})") from exc


def expect(value: Any, what: str, log: Any) -> Any:
    """The value, unless it says that TensorRT failed: None, or False. Raises EngineError."""
    if value is None or value is False:
        raise EngineError(f"TensorRT cannot {what}: {log.reasons()}")
    return value
