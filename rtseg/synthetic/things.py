"""What stands and moves on a street: each `draw_…` paints a thing with its near end at `z` m."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtseg.synthetic.textures import BAYS, FLOORS
from rtseg.synthetic.view import ROUND, Array, Id, Mesh, View

FAR = 130.0  # m: houses and trees are seen from here on
# fmt: off
WHITE, DARK, RED, BLUE = (226, 226, 226), (24, 26, 24), (44, 40, 215), (150, 80, 24)
# Vehicles: length, height, half width, m; the cabin's ends at belt and roof, 0–1; belt height, m
SHAPES = ((3.9, 1.46, 0.84, (0.02, 0.74), (0.12, 0.56), 0.86),
          (4.6, 1.42, 0.88, (0.14, 0.74), (0.28, 0.56), 0.86),
          (4.5, 1.72, 0.94, (0.02, 0.74), (0.06, 0.6), 1.0),
          (5.2, 2.2, 0.98, (0.0, 0.9), (0.01, 0.76), 1.05),
          (9.5, 3.1, 1.22, (0.0, 1.0), (0.01, 0.99), 1.2))
# Signs: layers of corners, half width, half height, height above the pole's top (m), colour
PLATES = (
    ((12, 0.36, 0.36, 0.3, RED), (12, 0.27, 0.27, 0.3, WHITE), (4, 0.16, 0.1, 0.3, DARK)),
    ((3, 0.46, 0.46, 0.2, RED), (3, 0.3, 0.3, 0.2, WHITE), (4, 0.07, 0.2, 0.17, DARK)),
    ((12, 0.36, 0.36, 0.3, WHITE), (12, 0.33, 0.33, 0.3, BLUE), (4, 0.09, 0.3, 0.3, WHITE)),
    ((4, 0.72, 0.56, 0.3, WHITE), (4, 0.68, 0.5, 0.3, BLUE), (4, 0.5, 0.1, 0.36, WHITE)),
    ((4, 0.3, 0.68, 0.28, DARK), (12, 0.1, 0.1, 0, (60, 240, 60))),
    ((4, 0.3, 0.68, 0.28, DARK), (12, 0.1, 0.1, 0.56, RED)),
)
# Bones, as `View.limbs` takes them; colours: coat, legs, skin, dark
WALKER = ((2, 8, 0.055, 0), (0, 6, 0.085, 1), (1, 7, 0.085, 1), (0, 2, 0.13, 0), (1, 3, 0.13, 0),
          (2, 3, 0.12, 0), (3, 9, 0.055, 0), (4, 4, 0.105, 2), (5, 5, 0.1, 3))
TYRE = tuple((i - 1, i, 0.03, 3) for i in range(12))
CYCLIST = ((0, 15, 0.025, 3), (15, 3, 0.025, 3), (2, 3, 0.025, 3), (1, 3, 0.025, 3),
           (4, 5, 0.025, 3), (6, 13, 0.08, 1), (7, 14, 0.08, 1), (13, 11, 0.065, 1),
           (14, 12, 0.065, 1), (8, 4, 0.05, 0), (9, 5, 0.05, 0), (6, 8, 0.14, 0), (7, 9, 0.14, 0),
           (8, 9, 0.12, 0), (10, 10, 0.105, 2), (16, 16, 0.11, 3))
# fmt: on


@dataclass(frozen=True, slots=True)
class Thing:
    draw: Callable[[View, Thing, float], None]
    s: float  # m along the loop at time 0
    x: float
    art: Any  # what `draw` needs: a texture, a mesh or colours
    size: float = 1.0  # m high, or a factor
    length: float = 0.0  # m along the road
    speed: float = 0.0  # m/s along the road


def _risen(z: float) -> float:
    """The share, 0–1, of its height that a far thing has risen to, lest it pop up at once."""
    return min(max((FAR - z) / 50, 0.05), 1)


def draw_house(view: View, thing: Thing, z: float) -> None:
    mips, floors, pitched = thing.art
    x, far, near = thing.x, z + thing.length, max(z, 2.5)
    back, eaves = x + math.copysign(8, x), 3 * floors * _risen(z)
    middle, top = (x + back) / 2, eaves + 2.4 * pitched * _risen(z)
    if z >= near:
        wall = [(x, 0, z), (x, eaves, z), (middle, top, z), (back, eaves, z), (back, 0, z)]
        view.poly(wall, mips[-1][0, 0, :3] * 0.65, Id.BUILDING)
    roof = [(x, eaves, near), (x, eaves, far), (middle, top, far), (middle, top, near)]
    view.poly(roof, (62, 62, 72), Id.BUILDING)
    bays = round(thing.length / 2.6) / BAYS
    crop = ((near - z) / thing.length * bays, 1 - floors / FLOORS, bays, 1)
    front = [(x, eaves, near), (x, eaves, far), (x, 0, far), (x, 0, near)]
    view.paste(mips, front, Id.BUILDING, crop, 0.75 if x > 0 else 1)


def draw_tree(view: View, thing: Thing, z: float) -> None:
    x, tall = thing.x, thing.size * _risen(z)
    trunk = [(x - 0.17, 0, z), (x - 0.1, tall / 2, z), (x + 0.1, tall / 2, z), (x + 0.15, 0, z)]
    view.poly(trunk, (44, 52, 62), Id.TREE)
    wide, bole = 0.36 * tall, 0.34 * tall
    top = x + 0.04 * math.sin(1.3 * view.time + thing.s)  # it sways
    quad = [(top - wide, tall, z), (top + wide, tall, z), (x + wide, bole, z), (x - wide, bole, z)]
    view.paste(thing.art, quad, Id.TREE)


def draw_fence(view: View, thing: Thing, z: float) -> None:
    near, far, x, tall = max(z, 1.5), z + thing.length, thing.x, thing.size
    if far > near:
        crop = ((near - z) / 3, 0, thing.length / 3, 1)  # the texture repeats
        quad = [(x, tall, near), (x, tall, far), (x, 0, far), (x, 0, near)]
        view.paste(thing.art, quad, Id.FENCE, crop, 0.85 if x > 0 else 1)


def draw_lamp(view: View, thing: Thing, z: float) -> None:
    x, tall, arm = thing.x, thing.size, thing.x - math.copysign(1.8, thing.x)
    joints = [
        (x, 0, z),
        (x, 1.1, z),
        (x, tall, z),
        (arm, tall + 0.3, z),
        (arm + 0.5, tall + 0.3, z),
    ]
    bones = ((0, 1, 0.1, 0), (1, 2, 0.06, 0), (2, 3, 0.04, 0), (3, 4, 0.08, 1))
    view.limbs(np.array(joints), bones, ((96, 100, 98), (170, 180, 184)), Id.POLE)


def draw_sign(view: View, thing: Thing, z: float) -> None:
    pole = np.array([(thing.x, 0, z), (thing.x, thing.size, z)])
    view.limbs(pole, ((0, 1, 0.045, 0),), ((110, 112, 110),), Id.POLE)
    view.mesh(thing.art, (thing.x, thing.size, z), Id.SIGN)


def draw_car(view: View, thing: Thing, z: float) -> None:
    view.mesh(thing.art, (thing.x, 0, z), Id.CAR)


def draw_walker(view: View, thing: Thing, z: float) -> None:
    a = 0.3 * math.sin(2 * math.pi * (view.time * 0.95 + thing.s))  # a stride, m
    # fmt: off
    body = [(-0.1, 0.9, 0), (0.1, 0.9, 0), (-0.14, 1.4, 0), (0.14, 1.4, 0), (0, 1.62, 0),
            (0, 1.7, 0), (a / 4 - 0.08, 0.05, a), (0.08 - a / 4, 0.05, -a),
            (-0.23 - a / 8, 0.85, -a), (0.23 + a / 8, 0.85, a)]
    # fmt: on
    joints = np.array(body) * thing.size + (thing.x, 0, z)
    view.limbs(joints, WALKER, thing.art, Id.PEDESTRIAN)


def draw_cyclist(view: View, thing: Thing, z: float) -> None:
    scale, place = np.array((1, 1, math.copysign(1, thing.speed))) * thing.size, (thing.x, 0, z)
    for hub in (-0.5, 0.5):
        ring = np.stack((0 * ROUND, 0.34 + 0.33 * np.sin(ROUND), hub + 0.33 * np.cos(ROUND)), -1)
        view.limbs(ring * scale + place, TYRE, thing.art, Id.BICYCLIST)
    spin = 7 * view.time + thing.s
    a, b = 0.14 * math.sin(spin), 0.14 * math.cos(spin)  # a pedal, m
    # fmt: off
    body = [(0, 0.34, -0.5), (0, 0.34, 0.5), (0, 0.95, -0.15), (0, 1.05, 0.42), (-0.26, 1.05, 0.42),
            (0.26, 1.05, 0.42), (-0.11, 1, -0.15), (0.11, 1, -0.15), (-0.16, 1.45, 0.2),
            (0.16, 1.45, 0.2), (0, 1.68, 0.3), (-0.14, 0.34 + a, b), (0.14, 0.34 - a, -b),
            (-0.13, 0.72 + a / 2, 0.28), (0.13, 0.72 - a / 2, 0.28), (0, 0.3, 0), (0, 1.75, 0.3)]
    # fmt: on
    view.limbs(np.array(body) * scale + place, CYCLIST, thing.art, Id.BICYCLIST)


def plate(kind: int) -> Mesh:
    """A traffic sign or light, around the top of its pole."""
    polys = []
    for corners, w, h, y, _ in PLATES[kind]:
        turn = np.repeat((np.arange(corners) + 0.5) * (2 * math.pi / corners), 12 // corners)
        polys.append(np.stack((w * np.sin(turn), y - h * np.cos(turn), 0 * turn), -1))
    return np.array(polys), np.array([colour for *_, colour in PLATES[kind]])


def car(kind: int, paint: Any, oncoming: bool) -> Mesh:
    """A motor vehicle seen from behind, or from the front."""
    length, tall, w, *ends, belt = SHAPES[kind]
    (b0, b1), (r0, r1) = length * (1 - np.array(ends)[:, ::-1] if oncoming else np.array(ends))
    under = _box((0.9 * w, 0.14, 0.15, length), (0.9 * w, 0.4, 0.15, length))
    body = _box((w, 0.3, 0, length), (0.96 * w, belt, 0.08, length))
    cabin = _box((0.94 * w, belt, b0, b1), ((0.9 if tall > 2 else 0.78) * w, tall, r0, r1))
    tone, back = np.array(paint), body[3]
    lamp, number = (WHITE, WHITE) if oncoming else ((36, 30, 190), (70, 200, 225))
    parts: list[Any] = [(face, (0, 0, 1, 1), DARK) for face in under]
    parts += [(under[3], (u, -0.55, u + 0.2, 1), DARK) for u in (0, 0.8)]  # tyres
    parts += _shaded(body, tone)
    parts += [(face, (0, 0, 1, 0.3), tone * 0.58) for face in body[1:]]
    parts += [(back, (u, 0.56, u + 0.17, 0.86), lamp) for u in (0.02, 0.81)]
    parts += [(back, (0.36, 0.3, 0.64, 0.45), number), *_shaded(cabin, tone)]
    sides = itertools.product(cabin[1:3], ((0.08, 0.48), (0.53, 0.93)))
    for face, (left, right) in ((cabin[3], (0.08, 0.92)), *sides):
        parts += [(face, (left, 0.12, right, 0.9), (58, 50, 44))]
        parts += [(face, (left, 0.6, right, 0.9), (99, 85, 75))]  # mirrors the sky
    faces, where, colours = (list(part) for part in zip(*parts, strict=True))
    polys = [*_patches(np.array(faces), np.array(where))]
    for x, z, (r, grey) in itertools.product((-w, w), (0.2, 0.8), ((0.33, 24), (0.19, 130))):
        turn = math.copysign(1, x) * ROUND
        wheel = (0 * turn + x, 0.33 + r * np.sin(turn), length * z + r * np.cos(turn))
        polys.append(np.stack(wheel, -1))
        colours.append((grey, grey, grey))
    return np.array(polys), np.array(colours)


def _box(low: Any, high: Any) -> Array:
    """Top, left, right and near face, (4, 4, 3), of a block.

    low, high: half width, y, z near, z far of its bottom and its top, m.
    """
    rings = [((-w, y, z), (w, y, z), (w, y, q), (-w, y, q)) for w, y, z, q in (low, high)]
    (a, b, c, d), (e, f, g, h) = rings
    return np.array([(e, f, g, h), (d, a, e, h), (b, c, g, f), (a, b, f, e)])


def _shaded(box: Array, tone: Array) -> list[Any]:
    light = (1.2, 0.8, 0.8, 0.95)
    return [(face, (0, 0, 1, 1), tone * k) for face, k in zip(box, light, strict=True)]


def _patches(faces: Array, where: Array) -> Array:
    """(P, 12, 3) rectangles on (P, 4, 3) faces seen from outside.

    where: (P, 4) left, low, right and high edges, 0–1 from a face's lower left corner.
    """
    u, v = where[:, [0, 2, 2, 0]], where[:, [1, 1, 3, 3]]
    weights = np.stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v], -1)
    return np.repeat(weights @ faces, 3, 1)
