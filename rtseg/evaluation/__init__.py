"""Accuracy of whatever turns images into labels: measured, compared, and said where it comes from.

`evaluate` runs a predictor over labelled samples, `compare` runs two of them side by side. Neither
knows what the predictor is: the deployed file in an engine, with the kernels of `rtseg run`, or a
network in torch.
"""

from __future__ import annotations

from rtseg.evaluation.comparison import Comparison, Interval, compare
from rtseg.evaluation.measuring import Evaluation, evaluate
from rtseg.evaluation.subject import Subject

__all__ = ["Comparison", "Evaluation", "Interval", "Subject", "compare", "evaluate"]
