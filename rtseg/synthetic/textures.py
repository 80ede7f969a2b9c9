"""Pictures that things, the sky and the ground are painted with."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.random import Generator

from rtseg.synthetic.view import Array, Id, Mips

BAYS, FLOORS, CELL = 6, 5, 72  # windows per row, rows, and texels per window of a facade
HALF, LENGTH, ACROSS, ALONG = 14, 64, 20, 12  # ground: half width and length, m; texels per m
# Colours are B, G, R, 0–255.
WALLS = (92, 112, 148), (70, 84, 122), (150, 182, 204), (206, 214, 218), (120, 150, 172)
LEAVES = (46, 92, 72), (40, 76, 58), (52, 104, 96), (60, 110, 128)
BARS = (52, 56, 50), (60, 74, 44), (120, 122, 122), (70, 96, 120)


def fractal(rng: Generator, height: int, width: int, cells: int) -> Array:
    """(H, W, 1) float32 smooth noise, 0–1: octaves of random grids, enlarged."""
    total = np.zeros((height, width), np.float32)
    for octave in range(5):
        grid = rng.random((cells << octave, cells << octave), dtype=np.float32) * 0.515 / 2**octave
        total += cv2.resize(grid, (width, height))
    return total[..., None]


def _mips(texture: Array) -> Mips:
    """Halvings of a texture; alpha is raised so that thin bars stay visible."""
    levels = [texture]
    while min(levels[-1].shape[:2]) > 8 and len(levels) < 6:
        small = cv2.pyrDown(levels[-1])
        small[..., 3] = np.minimum(small[..., 3] * 1.3, 255)
        levels.append(small)
    return levels


def facade(rng: Generator) -> Mips:
    height, width, floor = FLOORS * CELL, BAYS * CELL, (FLOORS - 1) * CELL
    tone = np.array(WALLS[rng.integers(len(WALLS))]) * rng.uniform(0.75, 1.1)
    wall = tone * (0.75 + 0.5 * fractal(rng, height, width, 6))
    wall[::5] *= 0.92  # courses of bricks
    texture = np.full((height, width, 4), 255, np.uint8)
    texture[..., :3] = wall.clip(0, 255)
    w, h = rng.integers((13, 19), (25, 27)).tolist()  # half a window, texels
    for row, bay in itertools.product(range(FLOORS), range(BAYS)):
        _window(texture, bay * CELL + CELL // 2, row * CELL + CELL // 2, w, h, rng)
    for left in range(0, width, 2 * CELL) if rng.random() < 0.5 else ():
        _shop(texture[floor:, left : left + 2 * CELL, :3], rng)
    return _mips(texture)


def _window(texture: Array, x: int, y: int, w: int, h: int, rng: Generator) -> None:
    frame, glass, fall = rng.integers((170, 28, -4), (235, 80, h)).tolist()
    texture[y - h - 3 : y + h + 4, x - w - 3 : x + w + 4, :3] = frame
    texture[y + h + 4 : y + h + 8, x - w - 6 : x + w + 7, :3] = (150, 156, 160)  # sill
    texture[y - h : y + h, x - w : x + w, :3] = (glass + 14, glass + 6, glass)
    mirrored = np.array([(x - w, y - h), (x + w - 1, y - h), (x - w, y + fall)])
    cv2.fillConvexPoly(texture, mirrored, (glass + 60, glass + 48, glass + 40, 255))
    texture[y - 1 : y + 1, x - w : x + w, :3] = frame
    texture[y - h : y + h, x - 1 : x + 1, :3] = frame


def _shop(front: Array, rng: Generator) -> None:
    """A fascia with lettering over a pane with goods."""
    front[:] = 0.6 * rng.integers(20, 180, 3) + 0.4 * rng.integers(30, 160)
    front[22:-8, 6:-6] = (52, 46, 42)
    for x, y, w, h in rng.integers((10, 28, 5, 5), (126, 54, 10, 12), (14, 4)).tolist():
        front[y : y + h, x : x + w] = rng.integers(30, 200, 3)
    for x in range(28, 112, 11):
        front[6:16, x : x + 7] = 226
    front[22:, CELL - 2 : CELL + 3] = front[0, 0]


def leaves(rng: Generator) -> Mips:
    """A tree's crown: clumps of leaves, lit from above."""
    texture = np.zeros((192, 192, 4), np.uint8)
    colour = np.array(LEAVES[rng.integers(len(LEAVES))])
    texture[..., :3] = colour * 0.6
    turns, reach = rng.uniform(0, 2 * math.pi, 900), 84 * np.sqrt(rng.random(900))
    for x, y in zip(96 + reach * np.cos(turns), 96 + reach * np.sin(turns), strict=True):
        lit = colour * ((1.25 - 0.75 * y / 192) * rng.uniform(0.7, 1.3))
        cv2.circle(texture, (int(x), int(y)), int(rng.integers(2, 9)), (*lit.tolist(), 255), -1)
    return _mips(texture)


def fence(rng: Generator) -> Mips:
    """3 m of railings or boards."""
    texture = np.zeros((96, 192, 4), np.uint8)
    texture[..., :3] = BARS[rng.integers(len(BARS))]
    pitch, width = ((12, 5), (16, 14), (8, 4))[rng.integers(3)]
    for x in range(0, 192, pitch):
        texture[4:, x : x + width, 3] = 255
        texture[:, x : x + width, :3] = texture[0, x, :3] * rng.uniform(0.8, 1.3)
    texture[4:12, :, 3] = texture[82:90, :, 3] = 255
    return _mips(texture)


def sky(rng: Generator, light: Array, width: int, height: int) -> Array:
    """The sky and the far skyline, (height, width, 4); the horizon is the last row."""
    top, low, cloud, gain = light.astype(np.float32)
    fall = np.linspace(0, 1, height, dtype=np.float32)[:, None, None] ** 1.3
    cover = (fractal(rng, height, width, 3) - rng.uniform(0.35, 0.5)) * 5
    cover = cover.clip(0, 1) * (1 - 0.6 * fall)
    clouds = cloud * (0.75 + 0.4 * fractal(rng, height, width, 3))
    canvas = np.zeros((height, width, 4), np.uint8)
    clear = top * (1 - fall) + low * fall
    canvas[..., :3] = (clear * (1 - cover) + clouds * cover).clip(0, 255)
    for x in range(0, width, max(width // 60, 2)):
        up, dice = round(height * rng.uniform(0.02, 0.09)), rng.random()
        label, tone = (Id.TREE, (60, 90, 74)) if dice < 0.5 else (Id.BUILDING, (120, 124, 130))
        canvas[-up:, x : x + width // 50 + 2] = (*(0.55 * gain * tone + 0.45 * low), label)
    return canvas


def ground(rng: Generator, half: float, walk: float, gain: Array) -> list[Array]:
    """The street from above, (z, x, 4), B, G, R and class id, and versions shorter along z.

    half, walk: m from the middle to the kerb, and from there to the houses.
    The ids at a border differ by one, so that interpolation never makes a third class.
    """
    height, width, grey = LENGTH * ALONG, 2 * HALF * ACROSS, rng.uniform(72, 118)
    texture = np.full((height, width, 4), (grey, grey, grey, Id.ROAD), np.float32)
    image = texture[..., :3]
    for left, right, start, stop, paint in _marks(rng, half):
        columns = slice(round((left + HALF) * ACROSS), round((right + HALF) * ACROSS))
        image[start * ALONG : stop * ALONG, columns] = paint
    across = np.abs((np.arange(width) + 0.5) / ACROSS - HALF) - half  # m from the kerb
    image[:, across > -0.2] *= 0.6  # gutter
    texture[:, across > 0] = (grey * 1.27, grey * 1.35, grey * 1.4, Id.PAVEMENT)
    image[:: ALONG * 3 // 4, across > 0] *= 0.8  # joints of the slabs
    image[:, (across > 0) & (across < 0.16)] = grey * 1.75
    texture[:, across > walk] = (40, 84, 74, Id.TREE)  # grass
    stain = fractal(rng, height, width, 8)
    image *= gain * (1.15 - 0.18 * (stain + stain[::-1]))  # the ends meet
    image += 4 * rng.standard_normal((height, width, 1), np.float32)
    full = texture.clip(0, 255).astype(np.uint8)
    sizes = [(width, height >> shift) for shift in (0, 2, 4, 6)]
    return [cv2.resize(full, size, interpolation=cv2.INTER_AREA) for size in sizes]


def _marks(rng: Generator, half: float) -> Iterator[tuple[float, float, int, int, Array]]:
    """Road marks: left, right, start, stop (m) and paint."""
    white, yellow = np.array((180, 180, 175)), np.array((60, 150, 178))
    step = int(rng.choice([4, 8, 16]))
    for s in range(0, LENGTH, step):
        yield -0.07, 0.07, s, s + step // 2, white
    lines = ((0.32, yellow), (0.55, yellow)) if rng.random() < 0.6 else ((0.4, white),)
    for (edge, paint), side in itertools.product(lines, (-1, 1)):
        yield side * (half - edge) - 0.05, side * (half - edge) + 0.05, 0, LENGTH, paint
    for x in np.arange(0.4 - half, half - 0.6, 1.1).tolist() if rng.random() < 0.6 else ():
        yield x, x + 0.6, 40, 43, white  # a crossing
