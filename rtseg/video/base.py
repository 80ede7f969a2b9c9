"""What every source has: a description, an iterator of frames, counts and notes."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar

from rtseg.closing import Closing
from rtseg.errors import SourceError
from rtseg.frame import Frame

Raw = TypeVar("Raw")

Decoder: TypeAlias = Literal["auto", "software", "nvdec"]
Encoding: TypeAlias = Literal["auto", "x264", "nvenc"]


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source before it is read.

    width, height: pixels of the first frame, after rotation.
    rate: average frames per second of the source, before any stride; None if unknown.
    frames: how many frames to expect after stride and limit. An estimate from the header, for
        progress bars only: damaged files and edit lists make it wrong. None if unknown.
    time_base: seconds per unit of `Frame.pts`.
    path: the file, folder or pattern, absolute; None if there is none.
    inputs: every file the source reads, absolute. None of them may be written.
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
    inputs: tuple[Path, ...] = field(default=(), repr=False)
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
        return self.wanted(total)

    def wanted(self, total: int) -> int:
        """How many of the first `total` frames of a source are wanted."""
        thinned = -(-total // self.stride)
        return thinned if self.frames is None else min(thinned, self.frames)


class Source(AbstractContextManager["Source", None], Protocol):
    """An iterator of frames that must be closed; a context manager closes it.

    failed: wanted frames that could not be decoded, counted while iterating. Of a source that has
        n frames, lost ones included, each `stride`-th is wanted, up to the limit; those that were
        not given have failed. Frames given and failed thus add up to the frames wanted.
    notes: sentences for the user about what was found or decided, complete after the last frame.
        They count all frames of the source, whatever the stride.
    names: of the outputs of each frame, without extension, by `Frame.index`; None if the frames
        have no names.
    interrupt: makes the iteration end soon, as if at the end of the source but without its closing
        notes; for any thread and for signal handlers.
    close: frees the source. While another thread waits for a frame, that thread frees it.

    Frames are taken by one thread at a time.
    """

    info: SourceInfo
    notes: list[str]

    @property
    def failed(self) -> int: ...
    @property
    def names(self) -> Sequence[str] | None: ...
    def __iter__(self) -> Iterator[Frame]: ...
    def __next__(self) -> Frame: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...


class BaseSource(Closing, ABC, Generic[Raw]):
    """Stride, limit and closing; a subclass reads raw pictures and turns the wanted into frames."""

    info: SourceInfo
    """Set by the subclass before it returns from its constructor."""

    def __init__(self, limits: Limits) -> None:
        self.notes: list[str] = []
        self._limits = limits
        self._lost = 0  # pictures of the source that `_raw` could not give
        self._seen = 0  # pictures that it gave
        self._given = 0  # frames
        self._frames = self._iterate()
        self._reading = threading.Lock()  # held while a frame is read
        self._interrupted = threading.Event()
        self._closed = self._released = False

    @abstractmethod
    def _raw(self) -> Iterator[Raw]:
        """Every picture of the source in order of display, cheaply.

        One that takes long between two pictures ends when `_interrupted` is set.
        """

    @abstractmethod
    def _frame(self, index: int, raw: Raw) -> Frame | None:
        """The frame of a wanted picture; None if it failed."""

    def _conclude(self, *, complete: bool) -> None:
        """Add the closing notes; `complete` is False if the limit ended the run."""

    def _release(self) -> None:
        """Free what the source holds."""

    @property
    def failed(self) -> int:
        """Wanted frames that were not given, of those that the source has shown so far."""
        return max(0, self._limits.wanted(self._seen + self._lost) - self._given)

    @property
    def names(self) -> Sequence[str] | None:
        """Names for the outputs of each frame; None if there are none."""
        return None

    def _iterate(self) -> Generator[Frame, None, None]:
        for raw in self._raw():
            if self._interrupted.is_set():
                return
            frame = None
            if self._seen % self._limits.stride == 0:
                frame = self._frame(self._seen, raw)
            self._given += frame is not None  # before `_seen`: others may ask for `failed`
            self._seen += 1
            if frame is None:
                continue
            yield frame
            if self._given == self._limits.frames:
                self._conclude(complete=False)
                return
        if not self._interrupted.is_set():
            self._conclude(complete=True)

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        try:
            with self._reading:
                return next(self._frames)
        finally:
            if self._closed:  # meanwhile, by another thread
                self.close()

    def interrupt(self) -> None:
        """End the iteration soon; for any thread and for signal handlers."""
        self._interrupted.set()

    def close(self) -> None:
        """Stop and free the source; a second call does nothing.

        While a thread waits for a frame, the source is freed by that thread, soon.
        """
        self._closed = True
        self._interrupted.set()
        if not self._reading.acquire(blocking=False):
            return
        try:
            if not self._released:
                self._released = True
                self._frames.close()
                self._release()
        finally:
            self._reading.release()


def shown(path: str | Path) -> str:
    """A path as text that can always be printed; bytes that are no UTF-8 become �."""
    return os.fsencode(path).decode("utf-8", errors="replace")
