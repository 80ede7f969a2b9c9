"""Legend and status line: drawn once with Pillow, kept in the colour space of the picture, and laid
over it in a few array operations."""

from __future__ import annotations

import math
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rtseg.frame import ColourMatrix, Picture, Yuv420
from rtseg.kernels import cpu

if TYPE_CHECKING:
    from numpy.typing import NDArray

BACKDROP = (16, 18, 22, 150)
TEXT = (242, 244, 247, 255)
"""RGBA of the panels behind legend and status line, and of their text."""


class Layer(NamedTuple):
    """One plane of a sprite: colour · opacity (h, w, …) and 256 - opacity, both uint16."""

    colour: NDArray[np.uint16]
    rest: NDArray[np.uint16]

    def over(self, plane: NDArray[np.uint8], x: int, y: int) -> None:
        """Lay the sprite over `plane` in place, its corner at (x, y); the edge cuts it."""
        area = plane[y : y + self.colour.shape[0], x : x + self.colour.shape[1]]
        rows, columns = area.shape[:2]
        colour = self.colour[:rows, :columns]
        mixed = _scratch(colour.shape)
        np.multiply(area, self.rest[:rows, :columns], out=mixed)
        np.add(mixed, colour, out=mixed)
        np.right_shift(mixed, 8, out=mixed)
        area[...] = mixed


_threads = threading.local()


def _scratch(shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Memory of this thread for an intermediate result; the next call hands out the same."""
    count = math.prod(shape)
    flat: NDArray[np.uint16] | None = getattr(_threads, "flat", None)
    if flat is None or flat.size < count:
        flat = _threads.flat = np.empty(count, np.uint16)
    return flat[:count].reshape(shape)


def put(out: Picture, sprite: Image.Image, x: int, y: int) -> None:
    """Lay an RGBA sprite over a picture in place; x and y are even."""
    layers = layers_of(sprite, out)
    if isinstance(out, Yuv420):
        layers[0].over(out.y, x, y)
        layers[1].over(out.u, x // 2, y // 2)
        layers[2].over(out.v, x // 2, y // 2)
    else:
        layers[0].over(out, x, y)


def layers_of(sprite: Image.Image, like: Picture) -> tuple[Layer, ...]:
    """A sprite in the colour space of a picture: one layer for BGR, else those of Y, U and V."""
    if isinstance(like, Yuv420):
        return _yuv_layers(_Key(sprite), like.matrix, like.full_range)
    return (_bgr_layer(_Key(sprite)),)


@lru_cache(maxsize=16)
def legend_sprite(rows: tuple[tuple[str, tuple[int, int, int]], ...], size: int) -> Image.Image:
    """A panel with a colour swatch and the name of each class; text of `size` pixels."""
    font = _font(size)
    line, swatch, pad = round(size * 1.5), size, max(3, size // 2)
    width = pad * 3 + swatch + max((round(font.getlength(name)) for name, _ in rows), default=0)
    panel = _panel(width, line * len(rows) + pad)
    draw = ImageDraw.Draw(panel)
    for i, (name, colour) in enumerate(rows):
        top = pad // 2 + i * line + (line - swatch) // 2
        draw.rounded_rectangle((pad, top, pad + swatch, top + swatch), size // 5, (*colour, 255))
        middle = pad // 2 + i * line + line // 2
        draw.text((pad * 2 + swatch, middle), name, fill=TEXT, font=font, anchor="lm")
    return panel


@lru_cache(maxsize=64)
def status_sprite(text: str, size: int) -> Image.Image:
    """A panel with one line of text of `size` pixels."""
    font = _font(size)
    pad = max(3, size // 2)
    panel = _panel(round(font.getlength(text)) + 2 * pad, round(size * 1.5) + pad)
    ImageDraw.Draw(panel).text((pad, panel.height / 2), text, fill=TEXT, font=font, anchor="lm")
    return panel


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own typeface; it takes longer to load than a line of it takes to draw."""
    return ImageFont.load_default(size)


def _panel(width: int, height: int) -> Image.Image:
    """An empty panel with round corners; sides are made even, as chroma needs."""
    width, height = width + width % 2, height + height % 2
    panel = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    box = (0, 0, width - 1, height - 1)
    ImageDraw.Draw(panel).rounded_rectangle(box, min(width, height) // 8, BACKDROP)
    return panel


class _Key:
    """A sprite as a key of a cache: by identity, and kept alive by it."""

    __slots__ = ("sprite",)

    def __init__(self, sprite: Image.Image) -> None:
        self.sprite = sprite

    def __hash__(self) -> int:
        return id(self.sprite)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.sprite is self.sprite


@lru_cache(maxsize=64)
def _bgr_layer(key: _Key) -> Layer:
    colour, opacity = _split(key.sprite)
    return _layer(colour[..., ::-1], opacity[..., None])


@lru_cache(maxsize=64)
def _yuv_layers(key: _Key, matrix: ColourMatrix, full_range: bool) -> tuple[Layer, Layer, Layer]:
    """Y at full size; U and V at half, weighted by the opacity of the pixels they cover."""
    colour, opacity = _split(key.sprite)
    height, width = opacity.shape
    planes = Yuv420(
        np.empty((height, width), np.uint8),
        np.empty((height // 2, width // 2), np.uint8),
        np.empty((height // 2, width // 2), np.uint8),
        matrix,
        full_range,
    )
    cpu.from_bgr(np.ascontiguousarray(colour[..., ::-1]), planes)
    half = opacity.reshape(height // 2, 2, width // 2, 2).mean((1, 3)).astype(np.uint16)
    return _layer(planes.y, opacity), _layer(planes.u, half), _layer(planes.v, half)


def _split(sprite: Image.Image) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """(h, w, 3) RGB and (h, w) opacity 0–256 of an RGBA sprite."""
    pixels = np.asarray(sprite)
    opacity = (pixels[..., 3].astype(np.uint32) * 256 + 127) // 255
    return pixels[..., :3], opacity.astype(np.uint16)


def _layer(colour: NDArray[np.uint8], opacity: NDArray[np.uint16]) -> Layer:
    product = colour.astype(np.uint16) * opacity + np.uint16(127)
    return Layer(product, (np.uint16(256) - opacity).astype(np.uint16))
