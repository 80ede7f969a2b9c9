"""The synthetic driving scene as a source, with the exact labels of every frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from rtseg.errors import SourceError
from rtseg.frame import Frame
from rtseg.video.base import BaseSource, Limits, SourceInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FRAMES = 300
"""Length of the scene where neither `frames=` nor a limit says otherwise."""

_FORM = "synthetic:1280x720@30, with ?frames=300&seed=1 after it if you like"
_SPEC = re.compile(
    r"synthetic:(?P<width>\d{1,5})x(?P<height>\d{1,5})(@(?P<rate>\d{1,3}(\.\d{1,3})?))?"
    r"(\?(?P<query>.*))?"
)


class SyntheticSource(BaseSource[int]):
    """Rendered frames, BGR, at a fixed rate; it ends after `frames`, or never if only the limit is
    given.

    Iterate over it for frames, or over `frames_with_labels()` for frames with their ground truth.

    Raises SourceError for a specification of another form.
    """

    def __init__(self, spec: str, *, limits: Limits, max_pixels: int = 100_000_000) -> None:
        super().__init__(limits)
        from rtseg.synthetic import Scene

        width, height, rate, length, seed = _parse(spec)
        if width * height > max_pixels:
            raise SourceError(f"{spec} has more than {max_pixels} pixels; ask for a smaller scene")
        if length is None and limits.frames is None:
            length = FRAMES
        self._length = length
        self._labels: NDArray[np.uint8] | None = None
        try:
            self._scene: Any = Scene(width, height, seed=seed, fps=float(rate))
        except ValueError as exc:
            raise SourceError(f"{spec!r} cannot be made: {exc}") from exc
        self.info = SourceInfo(
            name=spec,
            kind="synthetic",
            width=width,
            height=height,
            rate=rate,
            frames=limits.frames if length is None else limits.expected(length),
            time_base=1 / rate,
        )

    def frames_with_labels(self) -> Iterator[tuple[Frame, NDArray[np.uint8]]]:
        """Each frame with its exact labels, (H, W) uint8 ids of the scene's classes."""
        for frame in self:
            assert self._labels is not None
            yield frame, self._labels

    def _raw(self) -> Iterator[int]:
        index = 0
        while self._length is None or index < self._length:
            yield index
            index += 1

    def _frame(self, index: int, raw: int) -> Frame:
        bgr, self._labels = self._scene.render(raw)
        return Frame(bgr, index, raw, self.info.time_base)


def _parse(spec: str) -> tuple[int, int, Fraction, int | None, int]:
    """(width, height, rate, frames or None, seed)"""
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise SourceError(f"{spec!r} is no scene that can be made; expected {_FORM}")
    rate = Fraction(match["rate"] or 30)
    options = _options(spec, match["query"] or "")
    frames = options.get("frames")
    width, height = int(match["width"]), int(match["height"])
    if not (width and height and rate and (frames is None or frames > 0)):
        raise SourceError(f"{spec!r} has a zero in it; expected {_FORM}")
    return width, height, rate, frames, options.get("seed", 0)


def _options(spec: str, query: str) -> dict[str, int]:
    try:
        options = {name: int(value) for name, value in parse_qsl(query, strict_parsing=True)}
    except ValueError as exc:
        if not query:
            return {}
        raise SourceError(f"{spec!r}: {query!r} is not understood; expected {_FORM}") from exc
    unknown = options.keys() - {"frames", "seed"}
    if unknown:
        raise SourceError(f"{spec!r}: unknown {', '.join(sorted(unknown))}; expected {_FORM}")
    return options
