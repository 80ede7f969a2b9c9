"""The kernels compiled for the CPU: one thread a call, GIL released, no large temporaries."""

from __future__ import annotations

import numpy as np

from rtseg.classes import Label, LabelSet
from rtseg.frame import Picture, Yuv420
from rtseg.kernels._blend import blend
from rtseg.kernels._convert import count, from_bgr, to_bgr
from rtseg.kernels._postprocess import postprocess
from rtseg.kernels._preprocess import preprocess
from rtseg.kernels.tables import blend_table

__all__ = ["blend", "compile_all", "count", "from_bgr", "postprocess", "preprocess", "to_bgr"]


def compile_all() -> None:
    """Compile every kernel, or load it from the cache, by calling each on a picture of 2x2; but
    for confidence, which few ask for.

    About 10 s the first time on a machine, 0.2 s after that; nothing more in the same process.
    """
    classes = LabelSet("one", (Label(0, "one", (0, 0, 0), "sky"),))
    labels, tensor = np.zeros((2, 2), np.uint8), np.zeros((3, 2, 2), np.float32)
    luma, chroma = np.zeros((2, 2), np.uint8), np.zeros((1, 1), np.uint8)
    planes = Yuv420(luma, chroma, chroma.copy())
    bgr = np.zeros((2, 2, 3), np.uint8)
    pictures: tuple[Picture, ...] = (bgr, planes)
    for image in pictures:
        preprocess(image, tensor, (0, 0, 0), (1, 1, 1))
        blend(image, labels, blend_table(classes, alpha=1, like=image), image)
    postprocess(np.zeros((1, 2, 2), np.float32), labels)
    from_bgr(to_bgr(planes), planes)
    count(labels)
