"""The figures of a run for TensorBoard."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from rtseg.errors import EngineError


class Board:
    """Writes event files that `tensorboard --logdir` shows, beside results.csv.

    Raises EngineError where the package tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as exc:
            raise EngineError(f"--tensorboard: {exc}; pip install tensorboard") from exc
        self.writer = SummaryWriter(folder)

    def add(self, row: Mapping[str, float]) -> None:
        """One point of each curve; row: of results.csv."""
        for name, value in row.items():
            if name != "epoch" and not math.isnan(value):
                self.writer.add_scalar(name, value, int(row["epoch"]))
        self.writer.flush()
