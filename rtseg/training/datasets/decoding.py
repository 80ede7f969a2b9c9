"""Stored label maps to train ids: by id or by colour, through tables made from data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from rtseg.classes import IGNORE, LabelSet

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

UNKNOWN = 254
"""In a table: no class and not to be ignored either; label sets have at most 254 classes."""

Decode: TypeAlias = "Callable[[Image.Image], NDArray[np.uint8]]"


class IdDecoder:
    """Reads 8-bit maps of ids (grey, or indices of a palette). 255 is always ignored.

    train_ids: stored id → train id, or 255. Calling it raises ValueError for any other id.
    """

    def __init__(self, train_ids: Mapping[int, int]) -> None:
        self.table: NDArray[np.uint8] = np.full(256, UNKNOWN, np.uint8)
        self.table[list(train_ids)] = list(train_ids.values())
        self.table[IGNORE] = IGNORE

    def __call__(self, file: Image.Image) -> NDArray[np.uint8]:
        stored = np.asarray(file)
        if stored.dtype != np.uint8 or stored.ndim != 2:
            raise ValueError(
                f"a label map of mode {file.mode}; expected one 8-bit id a pixel (mode L or P)"
            )
        labels: NDArray[np.uint8] = self.table[stored]
        _refuse_unknown(labels, lambda wrong: f"the id {stored[wrong][0]}")
        return labels


class ColourDecoder:
    """Reads RGB maps. train_ids: colour → train id, or 255; ValueError for other colours."""

    def __init__(self, train_ids: Mapping[tuple[int, int, int], int]) -> None:
        keys = _packed(np.array(list(train_ids)))
        order = np.argsort(keys)
        self.keys = keys[order]
        self.values = np.array(list(train_ids.values()), np.uint8)[order]

    def __call__(self, file: Image.Image) -> NDArray[np.uint8]:
        pixels = np.asarray(file.convert("RGB"))
        packed = _packed(pixels)
        places = np.searchsorted(self.keys, packed).clip(max=len(self.keys) - 1)
        labels = np.where(self.keys[places] == packed, self.values[places], np.uint8(UNKNOWN))
        _refuse_unknown(labels, lambda wrong: f"the colour {tuple(pixels[wrong][0].tolist())}")
        return labels


def train_ids(rows: Iterable[tuple[int, str, str | None]], classes: LabelSet) -> dict[int, int]:
    """A table of (id, name, class or None) as stored id → train id."""
    ids = {label.name: label.id for label in classes}
    return {stored: IGNORE if name is None else ids[name] for stored, _, name in rows}


def _packed(colours: NDArray[np.integer]) -> NDArray[np.uint32]:
    """(…, 3) RGB → (…) 0xRRGGBB."""
    wide = colours.astype(np.uint32)
    packed: NDArray[np.uint32] = np.asarray(
        wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2], np.uint32
    )
    return packed


def _refuse_unknown(labels: NDArray[np.uint8], what: Callable[[NDArray[np.bool_]], str]) -> None:
    wrong = labels == UNKNOWN
    if wrong.any():
        raise ValueError(
            f"{what(wrong)} is not in the data set's table ({int(wrong.sum())} pixels are not)"
        )
