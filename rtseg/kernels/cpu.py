"""The kernels compiled for the CPU: one thread a call, GIL released, no large temporaries."""

from rtseg.kernels._blend import blend
from rtseg.kernels._convert import count, from_bgr, to_bgr
from rtseg.kernels._postprocess import postprocess
from rtseg.kernels._preprocess import preprocess

__all__ = ["blend", "count", "from_bgr", "postprocess", "preprocess", "to_bgr"]
