"""Time stamps that always rise, whatever the file says."""

from __future__ import annotations

from fractions import Fraction


class Stamps:
    """Makes the time stamps of a stream strictly monotonic; good ones pass unchanged.

    - A missing stamp is the one before plus one frame.
    - A stamp that does not rise, by up to a second, is the one before plus one unit.
    - A stamp that falls back by more is a clock that was set anew (a joined recording): it and all
      later ones are shifted to follow the one before by one frame.
    """

    def __init__(self, time_base: Fraction, rate: Fraction | None) -> None:
        self._second = round(1 / time_base)
        self._step = max(1, round(1 / (time_base * (rate or 25))))
        self._last: int | None = None
        self._shift = 0
        self.repaired = 0
        """How many stamps were missing or did not rise; a clock set anew counts once."""

    def next(self, pts: int | None) -> int:
        """The stamp to use for the next frame, whose own is `pts`."""
        self._last = self._rising(pts)
        return self._last

    def _rising(self, pts: int | None) -> int:
        if self._last is None:
            self.repaired += pts is None
            return 0 if pts is None else pts
        if pts is None:
            self.repaired += 1
            return self._last + self._step
        shifted = pts + self._shift
        if shifted > self._last:
            return shifted
        self.repaired += 1
        if self._last - shifted <= self._second:
            return self._last + 1
        self._shift += self._last + self._step - shifted
        return self._last + self._step
