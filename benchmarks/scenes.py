"""Logits, pictures and videos like those of a driving scene."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from rtseg.frame import Yuv420

if TYPE_CHECKING:
    from numpy.typing import NDArray


def logits(
    classes: int, height: int, width: int, *, polygons: int = 14, seed: int = 0
) -> NDArray[np.float32]:
    """(C, h, w) float32 of a scene of polygons on sky and road, blurred as a network does."""
    rng = np.random.default_rng(seed)
    scene = np.zeros((4 * height, 4 * width), np.uint8)
    scene[2 * height :] = min(3, classes - 1)
    for _ in range(polygons):
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(4, 9)))
        centre = rng.uniform(0, 1, 2) * (4 * width, 4 * height)
        radius = rng.gamma(2.0, 0.045) * 4 * width
        points = centre + radius * np.column_stack([np.cos(angles), 0.7 * np.sin(angles)])
        cv2.fillPoly(scene, [points.astype(np.int32)], int(rng.integers(classes)))
    planes = []
    for c in range(classes):
        share = cv2.GaussianBlur((scene == c).astype(np.float32), (0, 0), 4)
        noise = cv2.GaussianBlur(rng.normal(size=(height, width)).astype(np.float32), (0, 0), 2)
        planes.append(12 * cv2.resize(share, (width, height), interpolation=cv2.INTER_AREA) + noise)
    return np.stack(planes).astype(np.float32)


def mixed_share(values: NDArray[np.float32]) -> float:
    """Share of cells whose four corners do not have one class."""
    top = values.argmax(0)
    same = (top[:-1, :-1] == top[1:, :-1]) & (top[:-1, :-1] == top[:-1, 1:])
    return 1 - float((same & (top[:-1, :-1] == top[1:, 1:])).mean())


def picture(height: int, width: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 BGR, smooth with some grain."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (max(height // 40, 2), max(width // 40, 2), 3), np.uint8)
    grain = rng.integers(0, 8, (height, width, 3), np.uint8)
    smooth = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.minimum(smooth, 247) + grain, np.uint8)


def planes(height: int, width: int, *, seed: int = 0) -> Yuv420:
    """`Yuv420` of `picture`, BT.709, limited range."""
    from rtseg.kernels import cpu

    half = (height + 1) // 2, (width + 1) // 2
    out = Yuv420(
        np.empty((height, width), np.uint8), np.empty(half, np.uint8), np.empty(half, np.uint8)
    )
    cpu.from_bgr(picture(height, width, seed=seed), out)
    return out


def rendered(folder: Path, size: tuple[int, int], frames: int) -> Path:
    """A rendered street as H.264, (width, height) pixels."""
    from rtseg.classes import CAMVID
    from rtseg.segmentation import Result, Segmentation
    from rtseg.video.sinks import VideoSink
    from rtseg.video.sources import open_source

    path = folder / "rendered.mp4"
    spec = f"synthetic:{size[0]}x{size[1]}@25?frames={frames}"
    with open_source(spec) as source, VideoSink(path, info=source.info) as sink:
        for frame in source:
            nothing = np.zeros((frame.height, frame.width), np.uint8)
            sink.write(Result(frame, Segmentation(nothing, CAMVID), frame.image, {}))
    return path
