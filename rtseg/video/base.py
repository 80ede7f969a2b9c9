"""What every source has: a description, an iterator of frames, counts and notes."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Generic, Literal, Protocol, TypeVar

from rtseg.closing import Closing
from rtseg.errors import SourceError
from rtseg.frame import Frame

Raw = TypeVar("Raw")


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source before it is read.

    width, height: pixels of the first frame, after rotation.
    rate: average frames per second of the source, before any stride; None if unknown.
    frames: how many frames to expect after stride and limit. An estimate from the header, for
        progress bars only: damaged files and edit lists make it wrong. None if unknown.
    time_base: seconds per unit of `Frame.pts`.
    path: the file or folder, absolute; None if there is none.
    aspect: width of a pixel divided by its height.
    """

    name: str
    kind: Literal["video", "images", "synthetic"]
    width: int
    height: int
    rate: Fraction | None = None
    frames: int | None = None
    time_base: Fraction = Fraction(1, 25)
    path: Path | None = None
    aspect: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a source is wanted: each `stride`-th frame, `frames` at most."""

    frames: int | None = None
    stride: int = 1

    def __post_init__(self) -> None:
        if self.stride < 1:
            raise SourceError(f"a stride of {self.stride}; expected 1 (every frame) or more")
        if self.frames is not None and self.frames < 1:
            raise SourceError(f"a limit of {self.frames} frames; expected 1 or more")

    def expected(self, total: int | None) -> int | None:
        """Frames left of `total` source frames, None if that is unknown."""
        if total is None:
            return None
        thinned = -(-total // self.stride)
        return thinned if self.frames is None else min(thinned, self.frames)


class Source(AbstractContextManager["Source", None], Protocol):
    """An iterator of frames that must be closed; a context manager closes it.

    failed: frames that could not be decoded, counted while iterating.
    notes: sentences for the user about what was found or decided, complete after the last frame.

    A source is used by one thread at a time, `close` included.
    """

    info: SourceInfo
    failed: int
    notes: list[str]

    def __iter__(self) -> Iterator[Frame]: ...
    def __next__(self) -> Frame: ...
    def close(self) -> None: ...


class BaseSource(Closing, ABC, Generic[Raw]):
    """Stride, limit and closing; a subclass reads raw pictures and turns the wanted into frames."""

    info: SourceInfo
    """Set by the subclass before it returns from its constructor."""

    def __init__(self, limits: Limits) -> None:
        self.failed = 0
        self.notes: list[str] = []
        self._limits = limits
        self._frames = self._iterate()

    @abstractmethod
    def _raw(self) -> Iterator[Raw]:
        """Every picture of the source in order of display, cheaply."""

    @abstractmethod
    def _frame(self, index: int, raw: Raw) -> Frame | None:
        """The frame of a wanted picture; None if it failed, after counting it in `failed`."""

    def _conclude(self, *, complete: bool) -> None:
        """Add the closing notes; `complete` is False if the limit ended the run."""

    def _release(self) -> None:
        """Free what the source holds."""

    def _iterate(self) -> Generator[Frame, None, None]:
        given = 0
        for index, raw in enumerate(self._raw()):
            if index % self._limits.stride:
                continue
            frame = self._frame(index, raw)
            if frame is None:
                continue
            yield frame
            given += 1
            if given == self._limits.frames:
                self._conclude(complete=False)
                return
        self._conclude(complete=True)

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        """Stop and free the source; a second call does nothing."""
        self._frames.close()
        self._release()


def shown(path: str | Path) -> str:
    """A path as text that can always be printed; bytes that are no UTF-8 become �."""
    return os.fsencode(path).decode("utf-8", errors="replace")
