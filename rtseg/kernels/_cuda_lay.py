"""Sprites over a picture on the GPU: the legend and the status line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from rtseg.device.arrays import DeviceArray, Stream
from rtseg.frame import DevicePicture
from rtseg.kernels._cuda_jit import U, cuda, kernel, launch, part
from rtseg.kernels._cuda_views import check_8_bits, flat, plane, shifted

_BLOCK = 32, 8


class SpritePlane(Protocol):
    """One plane of a sprite on the device: `rtseg.overlay.Layer`, uploaded.

    colour: colour * opacity + rounding; rest: 256 - opacity, both uint16, C-contiguous.
    """

    @property
    def colour(self) -> DeviceArray:
        """(h, w), or (h, w, 3) for bgr."""

    @property
    def rest(self) -> DeviceArray:
        """(h, w), or (h, w, 1) for bgr."""


class _Sprite(NamedTuple):
    colour: DeviceArray
    rest: DeviceArray
    height: int
    width: int


def lay(
    out: DevicePicture, layers: Sequence[SpritePlane], x: int, y: int, *, stream: Stream
) -> None:
    """Lay a sprite over a picture in place, its upper left corner at (x, y) pixels; the picture's
    edge cuts it. A byte becomes (byte * rest + colour) >> 8.

    out: nv12, i420 or bgr. layers: for bgr one; else those of y, u and v, the latter two of half
    the size. x, y: not negative, and even for planes.

    Nothing is waited for. Raises ValueError for what does not fit, EngineError.
    """
    check_8_bits(out)
    sprites = _checked(out, layers, x, y)
    height, width = out.height - y, out.width - x  # what is left of the picture there
    height, width = min(height, sprites[0].height), min(width, sprites[0].width)
    if height <= 0 or width <= 0:
        return
    grid = -(-width // _BLOCK[0]), -(-height // _BLOCK[1])
    first = plane("plane 0", out.planes[0])
    if out.layout == "bgr":
        launch(
            _lay_bgr, grid, _BLOCK, stream, first.samples, first.step,
            sprites[0].colour, sprites[0].rest, sprites[0].width, x, y, height, width,
        )  # fmt: skip
        return
    u = plane("plane 1", out.planes[1])
    v, apart = (shifted(u, 1), 2) if out.layout == "nv12" else (plane("plane 2", out.planes[2]), 1)
    planes = (item for p in (first, u, v) for item in (p.samples, p.step))
    arrays = (array for sprite in sprites for array in (sprite.colour, sprite.rest))
    launch(
        _lay_planes, grid, _BLOCK, stream,
        *planes, apart, *arrays, sprites[0].width, x, y, height, width,
    )  # fmt: skip


def _checked(
    out: DevicePicture, layers: Sequence[SpritePlane], x: int, y: int
) -> tuple[_Sprite, ...]:
    bgr = out.layout == "bgr"
    if len(layers) != (1 if bgr else 3):
        raise ValueError(f"{len(layers)} layers for {out.layout}; expected {1 if bgr else 3}")
    if x < 0 or y < 0 or (not bgr and (x % 2 or y % 2)):
        raise ValueError(
            f"a sprite at ({x}, {y}); expected no negative numbers, and for {out.layout} even ones"
        )
    sprites = tuple(_sprite(layer, 3 if bgr else None) for layer in layers)
    height, width = sprites[0].height, sprites[0].width
    half = height // 2, width // 2
    if any((s.height, s.width) != half for s in sprites[1:]) or (not bgr and (height | width) & 1):
        sizes = [(s.height, s.width) for s in sprites]
        raise ValueError(f"layers of {sizes} (h, w); expected even luma, and chroma of half of it")
    return sprites


def _sprite(layer: SpritePlane, channels: int | None) -> _Sprite:
    colour, rest = layer.colour, layer.rest
    size = tuple(colour.shape[:2])
    ends = ((), ()) if channels is None else ((channels,), (1,))
    if (tuple(colour.shape), tuple(rest.shape)) != ((*size, *ends[0]), (*size, *ends[1])):
        raise ValueError(f"a layer of {colour.shape} colours and {rest.shape} opacities")
    if colour.dtype != np.uint16 or rest.dtype != np.uint16:
        raise ValueError(f"a layer of {colour.dtype} and {rest.dtype}; expected uint16")
    return _Sprite(flat("colour", colour), flat("rest", rest), int(size[0]), int(size[1]))


@part
def _over(pixels: Any, at: Any, colour: Any, rest: Any, i: Any, j: Any) -> None:
    mixed = np.uint32(np.uint32(pixels[U(at)]) * np.uint32(rest[U(j)]) + np.uint32(colour[U(i)]))
    pixels[U(at)] = mixed >> np.uint32(8)


@kernel("void(uint8[::1], int64, uint16[::1], uint16[::1], int64, int64, int64, int64, int64)")
def _lay_bgr(
    out: Any, step: int, colour: Any, rest: Any, span: int, x: int, y: int, height: int, width: int
) -> None:
    i, row = cuda.grid(2)
    if i >= width or row >= height:
        return
    of = row * span + i
    for c in range(3):
        _over(out, (y + row) * step + 3 * (x + i) + c, colour, rest, 3 * of + c, of)


@kernel(
    "void(uint8[::1], int64, uint8[::1], int64, uint8[::1], int64, int64"
    + ", uint16[::1], uint16[::1]" * 3
    + ", int64, int64, int64, int64, int64)"
)
def _lay_planes(
    luma: Any, step: int, blue: Any, blue_step: int, red: Any, red_step: int, apart: int,
    colour: Any, rest: Any, blue_colour: Any, blue_rest: Any, red_colour: Any, red_rest: Any,
    span: int, x: int, y: int, height: int, width: int,
) -> None:  # fmt: skip
    """A thread a pixel; every fourth does the chroma sample that begins there, too."""
    i, row = cuda.grid(2)
    if i >= width or row >= height:
        return
    of = row * span + i
    _over(luma, (y + row) * step + x + i, colour, rest, of, of)
    if (i | row) & 1 == 0:
        of = (row >> 1) * (span >> 1) + (i >> 1)
        at_y, at_x = (y + row) >> 1, apart * ((x + i) >> 1)
        _over(blue, at_y * blue_step + at_x, blue_colour, blue_rest, of, of)
        _over(red, at_y * red_step + at_x, red_colour, red_rest, of, of)
