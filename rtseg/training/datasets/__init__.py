"""Labelled data sets in their official layouts, read without torch."""

from __future__ import annotations

from rtseg.training.datasets.registry import open_split
from rtseg.training.datasets.samples import Pair, Sample, Split, stack

__all__ = ["Pair", "Sample", "Split", "open_split", "stack"]
