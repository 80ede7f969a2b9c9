"""Labelled data sets in their official layouts, read without torch."""

from __future__ import annotations

from rtseg.training.datasets.camvid import CamVid
from rtseg.training.datasets.samples import Sample, Samples, stack

__all__ = ["CamVid", "Sample", "Samples", "stack"]
