"""A contact sheet: many labelled samples on one picture, to look at a data set.

Each sample is a tile: its image, below it the same with the colours of its labels, with those of a
prediction if there is one, and a caption.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from PIL import Image

from rtseg.classes import IGNORE, LabelSet
from rtseg.kernels import cpu
from rtseg.kernels.tables import blend_table
from rtseg.overlay import BACKDROP, legend_sprite, status_sprite
from rtseg.training.datasets import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALPHA = 0.6
CELL = 256
"""Width of a picture in pixels."""
GAP, BLOCK_GAP, MARGIN = 4, 20, 20
"""Pixels between the tiles of a row, between rows, and around all."""
TITLE, TEXT = 20, 13
"""Pixels of the first line, and of all others."""
DARK, LIGHT = 0, 110
"""Grey levels of the hatch over ignored pixels."""


class Predicted(NamedTuple):
    """A sample and what a network says of it: a caption, a (H, W, 3) uint8 BGR image, its (H, W)
    uint8 labels and the prediction, 255 ignored."""

    name: str
    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    prediction: NDArray[np.uint8]


def contact_sheet(
    rows: Sequence[Sequence[Sample | Predicted]], classes: LabelSet, lines: Sequence[str]
) -> Image.Image:
    """An RGB picture of `rows`, each a sample and its versions; all have equally many, and all or
    none have predictions.

    lines: a title and details, at least one. Rows share the lines of the sheet so that it becomes
    about as wide as high.
    """
    first = rows[0][0].labels
    cell = (CELL, max(1, round(CELL * first.shape[0] / first.shape[1])))
    body = _arrange([_block(row, cell, classes) for row in rows])
    texts = [_text(line, TEXT if i else TITLE) for i, line in enumerate(lines)]
    width = max(part.width for part in (body, *texts))
    head = _stack([*texts, _flow(_legend(classes), width)], 0)
    sheet = _stack([head, body], BLOCK_GAP // 2)
    framed = _blank(width + 2 * MARGIN, sheet.height + 2 * MARGIN)
    framed.paste(sheet, (MARGIN, MARGIN))
    return framed


def blended(
    sample: Sample | Predicted, classes: LabelSet, cell: tuple[int, int]
) -> NDArray[np.uint8]:
    """The sample with its labels' colours, ignored pixels hatched: (h, w, 3) BGR within `cell`."""
    out = np.empty_like(sample.image)
    cpu.blend(sample.image, sample.labels, blend_table(classes, alpha=ALPHA, like=out), out)
    small = _fitted(out, cell)
    size = (small.shape[1], small.shape[0])
    ignored = cv2.resize(sample.labels, size, interpolation=cv2.INTER_NEAREST_EXACT) == IGNORE
    return np.where(ignored[..., None], hatch(*size)[..., None], small)


def hatch(width: int, height: int) -> NDArray[np.uint8]:
    """(height, width) grey levels: black with thin diagonal lines."""
    x, y = np.arange(width), np.arange(height)[:, None]
    return np.where((x + y) % 8 < 2, LIGHT, DARK).astype(np.uint8)


def _fitted(image: NDArray[np.uint8], cell: tuple[int, int]) -> NDArray[np.uint8]:
    """Scaled to the largest size of the same shape that fits into `cell` (width, height)."""
    height, width = image.shape[:2]
    factor = min(cell[0] / width, cell[1] / height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=method).astype(np.uint8, copy=False)


def _pictures(
    sample: Sample | Predicted, cell: tuple[int, int], classes: LabelSet
) -> list[NDArray[np.uint8]]:
    """Those of a tile, from above: (h, w, 3) BGR within `cell`."""
    pictures = [_fitted(sample.image, cell), blended(sample, classes, cell)]
    if isinstance(sample, Predicted):
        answer = Sample(sample.name, sample.image, sample.prediction)
        pictures.append(blended(answer, classes, cell))
    return pictures


def _height(sample: Sample | Predicted, cell: tuple[int, int]) -> int:
    """Of a tile without its caption."""
    return (2 + isinstance(sample, Predicted)) * (cell[1] + GAP) - GAP


def _tile(sample: Sample | Predicted, cell: tuple[int, int], classes: LabelSet) -> Image.Image:
    """Image, labels, prediction and caption below each other; a longer caption is cut off."""
    bottom = _height(sample, cell)
    tile = _blank(cell[0], bottom + 2 * TEXT)
    for i, picture in enumerate(_pictures(sample, cell, classes)):
        height, width = picture.shape[:2]
        place = ((cell[0] - width) // 2, i * (cell[1] + GAP) + (cell[1] - height) // 2)
        tile.paste(Image.fromarray(np.ascontiguousarray(picture[..., ::-1])), place)
    tile.paste(_text(sample.name, TEXT), (0, bottom))
    return tile


def _block(
    row: Sequence[Sample | Predicted], cell: tuple[int, int], classes: LabelSet
) -> Image.Image:
    """The tiles of one row, side by side."""
    block = _blank(len(row) * (cell[0] + GAP) - GAP, _height(row[0], cell) + 2 * TEXT)
    for i, sample in enumerate(row):
        block.paste(_tile(sample, cell, classes), (i * (cell[0] + GAP), 0))
    return block


def _arrange(blocks: Sequence[Image.Image]) -> Image.Image:
    """Equal blocks in lines, as many to a line as make the smallest square."""
    width, height = blocks[0].width + BLOCK_GAP, blocks[0].height + BLOCK_GAP
    count = len(blocks)
    across = min(range(1, count + 1), key=lambda n: max(n * width, math.ceil(count / n) * height))
    down = math.ceil(count / across)
    sheet = _blank(across * width - BLOCK_GAP, down * height - BLOCK_GAP)
    for i, block in enumerate(blocks):
        sheet.paste(block, (i % across * width, i // across * height))
    return sheet


def _legend(classes: LabelSet) -> list[Image.Image]:
    """A swatch and name for each class, and for ignored pixels."""
    entries = [legend_sprite(((c.name, c.colour),), TEXT) for c in classes]
    text = _text("ignored", TEXT)
    entry = _blank(2 * TEXT + text.width, entries[0].height)
    entry.paste(Image.fromarray(hatch(TEXT, TEXT)), (TEXT // 2, (entry.height - TEXT) // 2))
    entry.paste(text, (2 * TEXT, (entry.height - text.height) // 2))
    return [*entries, entry]


def _text(line: str, size: int) -> Image.Image:
    """A line of text that starts at its left edge."""
    sprite = status_sprite(line, size)
    pad = max(3, size // 2)  # of the sprite
    text = _blank(sprite.width - pad, sprite.height)
    text.paste(sprite, (-pad, 0), sprite)
    return text


def _flow(sprites: Sequence[Image.Image], width: int) -> Image.Image:
    """Sprites of one height one after the other, in as many lines as `width` asks for."""
    start = -(TEXT // 2)  # the swatches are that far inside their sprites
    places: list[tuple[int, int]] = []
    x, y = start, 0
    for sprite in sprites:
        if x > start and x + sprite.width > width:
            x, y = start, y + sprite.height
        places.append((x, y))
        x += sprite.width
    flow = _blank(width, y + sprites[0].height)
    for sprite, place in zip(sprites, places, strict=True):
        flow.paste(sprite, place, sprite if sprite.mode == "RGBA" else None)
    return flow


def _stack(parts: Sequence[Image.Image], gap: int) -> Image.Image:
    """Parts below each other, flush left."""
    height = sum(part.height for part in parts) + gap * (len(parts) - 1)
    sheet = _blank(max(part.width for part in parts), height)
    y = 0
    for part in parts:
        sheet.paste(part, (0, y))
        y += part.height + gap
    return sheet


def _blank(width: int, height: int) -> Image.Image:
    """In the colour of the sprites' panels, so that these do not show."""
    return Image.new("RGB", (width, height), BACKDROP[:3])
