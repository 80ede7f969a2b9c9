"""The picture that users see: colours over the frame, a legend and a status line."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rtseg.classes import LabelSet
from rtseg.device.transfer import to_host
from rtseg.frame import DevicePicture, Frame, Picture, Yuv420, size_of
from rtseg.kernels import cpu
from rtseg.kernels.tables import BlendTable, blend_table
from rtseg.overlay.sprites import (
    BACKDROP,
    TEXT,
    Layer,
    layers_of,
    legend_sprite,
    put,
    status_sprite,
)
from rtseg.segmentation import Segmentation

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "BACKDROP", "TEXT", "Layer", "Overlay", "Placed", "layers_of", "legend_sprite", "put",
    "status_sprite",
]  # fmt: skip

SMALLEST = 120
"""Pixels of the shorter side below which text would not be readable."""


class Placed(NamedTuple):
    """A sprite and where its corner lies in the picture, in even numbers of pixels."""

    sprite: Image.Image
    x: int
    y: int


class Overlay:
    """Paints segmentations.

    classes: the model's; alpha: opacity of their colours, 0–1; visible: ids to draw, None for all;
    legend: whether to show it. Raises InputError for an alpha or an id out of range. Any thread
    may paint; the picture that is given must be its own.
    """

    def __init__(
        self,
        classes: LabelSet,
        *,
        alpha: float = 0.5,
        visible: Collection[int] | None = None,
        legend: bool = True,
    ) -> None:
        self.classes, self.alpha = classes, alpha
        self.visible = tuple(sorted(range(len(classes)) if visible is None else visible))
        self.legend = legend
        self._tables: dict[tuple[str, bool], BlendTable] = {}
        self._lock = threading.Lock()
        self.table(np.zeros((1, 1, 3), np.uint8))  # refuses a wrong alpha or id now

    def paint(
        self, frame: Frame, segmentation: Segmentation, out: Picture, status: str = ""
    ) -> Picture:
        """Draw `frame` with its labels into `out`, a picture of the same size and colours."""
        image = to_host(frame.image)
        cpu.blend(image, segmentation.labels, self.table(image), out)
        for sprite, x, y in self.annotations(size_of(out), status):
            put(out, sprite, x, y)
        return out

    def annotations(self, size: tuple[int, int], status: str = "") -> Iterator[Placed]:
        """What is laid over a picture of `size` (width, height): legend above, status line below;
        the legend only if both find room, nothing on a tiny picture."""
        height = size[1]
        if min(size) < SMALLEST:
            return
        text = max(11, round(height / 40))  # pixels
        margin = max(4, text // 2) // 2 * 2
        if self.legend:
            labels = (self.classes.labels[i] for i in self.visible)
            sprite = legend_sprite(tuple((c.name, c.colour) for c in labels), text)
            if sprite.height + 2 * margin + 2 * text <= height:
                yield Placed(sprite, margin, margin)
        if status:
            sprite = status_sprite(status, text)
            yield Placed(sprite, margin, (height - sprite.height - margin) // 2 * 2)

    def table(self, image: Picture | DevicePicture) -> BlendTable:
        """How labels are drawn over pictures with the colours of `image`; made once for each."""
        like = colours_of(image)
        key = (like.matrix, like.full_range) if isinstance(like, Yuv420) else ("bgr", True)
        with self._lock:
            if key not in self._tables:
                self._tables[key] = blend_table(
                    self.classes, alpha=self.alpha, like=like, visible=self.visible
                )
            return self._tables[key]


def colours_of(image: Picture | DevicePicture) -> Picture:
    """A picture of a pixel in the colour space of another, wherever that one is."""
    if isinstance(image, np.ndarray) or (
        isinstance(image, DevicePicture) and image.layout == "bgr"
    ):
        return np.zeros((1, 1, 3), np.uint8)
    sample = np.zeros((1, 1), np.uint8)
    return Yuv420(sample, sample, sample, image.matrix, image.full_range)
