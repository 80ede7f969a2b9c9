"""rtseg: real-time semantic segmentation of driving video.

    from rtseg import Segmenter, open_source

    seg = Segmenter("dilanet-m")
    for frame in open_source("dashcam.mp4"):
        result = seg(frame)
        print(frame.seconds, result.fractions())

Nothing heavy is imported here; every public name is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from rtseg.classes import LabelSet
    from rtseg.errors import RtsegError
    from rtseg.frame import Frame, Yuv420
    from rtseg.model import Model, list_models
    from rtseg.pipeline import Pipeline
    from rtseg.segmentation import Segmentation
    from rtseg.segmenter import Segmenter
    from rtseg.video.sources import open_source

__all__ = [
    "Frame",
    "LabelSet",
    "Model",
    "Pipeline",
    "RtsegError",
    "Segmentation",
    "Segmenter",
    "Yuv420",
    "__version__",
    "list_models",
    "open_source",
]

_HOME = {
    "Frame": "rtseg.frame",
    "LabelSet": "rtseg.classes",
    "Model": "rtseg.model",
    "Pipeline": "rtseg.pipeline",
    "RtsegError": "rtseg.errors",
    "Segmentation": "rtseg.segmentation",
    "Segmenter": "rtseg.segmenter",
    "Yuv420": "rtseg.frame",
    "list_models": "rtseg.model",
    "open_source": "rtseg.video.sources",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'rtseg' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
