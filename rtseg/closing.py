"""Objects that are closed when their `with` statement ends."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Closing:
    """A context manager of itself; leaving it calls `close`."""

    def close(self) -> None:
        """Free what is held; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
