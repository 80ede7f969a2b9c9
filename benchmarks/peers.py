"""ONNX Runtime and supervision, for the same work as ours, where they are installed.

    pip install -c constraints.txt -e '.[bench]'

Each is imported when it is used; a candidate whose package is missing is left out, with the reason.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx_f32 import in_f32

from rtseg.benchmark.roofline import at_size
from rtseg.classes import LabelSet
from rtseg.hardware import cpu_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtseg.model import Model

WHAT = {
    "ONNX Runtime f32": "the same file with its FP16 weights and tensors cast to f32, in which it "
    "is faster on a CPU; all cores; threads stop spinning at the end of a run",
    "supervision": "MaskAnnotator on a copy of the picture, boolean masks of the classes made "
    "from the labels each time",
    "supervision, masks given": "MaskAnnotator on a copy of the picture, masks made beforehand",
}


@cache
def installed(*packages: str) -> bool:
    """Whether all of them can be imported; prints the first reason why not, once."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as exc:
            print(f"left out, {package}: {exc}")
            return False
    return True


def onnx_runtime(
    model: Model, size: tuple[int, int], *, spin: bool = True
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """(1, 3, h, w) to (1, C, h / s, w / s), both float32, in ONNX Runtime on all cores.

    spin: whether its threads do while they wait for the next operator, which is faster if nobody
    else wants the cores. They never go on for tens of milliseconds after a run, as they would by
    themselves, and slow down what is done or measured next.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cpu_count()
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
    graph = at_size(onnx.load_model_from_string(in_f32(model.data)), size).SerializeToString()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": image})[0]


def annotator(classes: LabelSet, alpha: float) -> Any:
    """supervision's MaskAnnotator in the colours of the classes."""
    import supervision

    colours = [supervision.Color(*label.colour) for label in classes]
    return supervision.MaskAnnotator(supervision.ColorPalette(colours), opacity=alpha)


def detections(labels: NDArray[np.uint8]) -> Any:
    """Labels (H, W) as supervision takes them: a boolean mask for each class that occurs.

    The boxes are the whole picture: tight ones are not needed to paint, and take time to find.
    """
    import supervision

    height, width = labels.shape
    ids = np.flatnonzero(np.bincount(labels.ravel()))
    masks = labels == ids.astype(np.uint8)[:, None, None]
    boxes = np.tile(np.float32([0, 0, width, height]), (len(ids), 1))
    return supervision.Detections(xyxy=boxes, mask=masks, class_id=ids)


def supervision_blend(
    bgr: NDArray[np.uint8], labels: NDArray[np.uint8], classes: LabelSet, alpha: float
) -> dict[str, Callable[[], object]]:
    """Labels → overlay, with and without the making of the masks."""
    if not installed("supervision"):
        return {}
    paint, given = annotator(classes, alpha), detections(labels)
    return {
        "supervision": lambda: paint.annotate(bgr.copy(), detections(labels)),
        "supervision, masks given": lambda: paint.annotate(bgr.copy(), given),
    }
