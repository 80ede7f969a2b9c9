"""A source and a sink for tests of the pipeline."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from rtseg.errors import SinkError
from rtseg.frame import Frame
from rtseg.segmentation import Result
from rtseg.video.base import BaseSource, Limits, SourceInfo
from rtseg.video.sinks import NullSink


class Frames(BaseSource[int]):
    """Grey frames with their index in the first pixel; raises `error` after `count` of them."""

    def __init__(self, count: int | None, error: Exception | None = None) -> None:
        super().__init__(Limits())
        self.info = SourceInfo("frames", "video", 64, 48, Fraction(30), count)
        self._count, self._error = count, error

    def _raw(self) -> Iterator[int]:
        yield from itertools.count() if self._count is None else range(self._count)
        if self._error:
            raise self._error

    def _frame(self, index: int, raw: int) -> Frame:
        image = np.full((48, 64, 3), 90, np.uint8)
        image[0, 0] = raw % 256
        return Frame(image, index, raw, Fraction(1, 30))


class Log(NullSink):
    """Remembers the order and content of what it was given; may raise or stall."""

    def __init__(self, fail_at: int | None = None, delay: float = 0.0) -> None:
        super().__init__()
        self.indices: list[int] = []
        self.fail_at, self.delay = fail_at, delay

    def write(self, result: Result) -> None:
        if result.frame.index == self.fail_at:
            raise SinkError("the disk is full")
        time.sleep(self.delay)
        assert result.segmentation.index == result.frame.index
        self.indices.append(result.frame.index)
        super().write(result)
