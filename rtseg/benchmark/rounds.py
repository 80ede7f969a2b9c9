"""What one round of a scenario gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rtseg.timing import StageStats

END_TO_END = "end to end"
AGE = "age"


@dataclass(frozen=True, slots=True)
class Round:
    """Times of the measured frames; frames = done + dropped.

    frames: that came. done: that left with labels. dropped: for which a newer one was taken.
    late: done, but older than a frame's time. seconds: from the first frame asked for until the
    last was out; cpu_seconds: of all threads in that time. stages: milliseconds by name.
    """

    frames: int
    done: int
    seconds: float
    cpu_seconds: float
    cores: int
    stages: Mapping[str, StageStats]
    dropped: int = 0
    late: int = 0

    @property
    def fps(self) -> float:
        """Frames out per second."""
        return self.done / self.seconds

    @property
    def bound(self) -> float:
        """Frames per second if every core were busy all the time: cores / CPU-seconds a frame."""
        return self.cores * self.done / self.cpu_seconds

    @property
    def utilisation(self) -> float:
        """Share of the cores' time that was used, 0–1."""
        return self.cpu_seconds / (self.seconds * self.cores)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "frames": self.frames,
            "done": self.done,
            "dropped": self.dropped,
            "late": self.late,
            "seconds": round(self.seconds, 4),
            "cpu_seconds": round(self.cpu_seconds, 4),
            "fps": round(self.fps, 3),
            "bound_fps": round(self.bound, 3),
            "cpu_utilisation": round(self.utilisation, 4),
            "stages_ms": {name: _rounded(stats) for name, stats in self.stages.items()},
        }


def _rounded(stats: StageStats) -> dict[str, float | int | None]:
    values = asdict(stats).items()
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in values}
