"""The layout of a street: which things stand and move where."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator

from rtseg.synthetic import things as draw
from rtseg.synthetic.textures import BAYS, FLOORS, facade, fence, leaves
from rtseg.synthetic.things import PLATES, SHAPES, Thing, car, plate
from rtseg.synthetic.view import Array, Mips

LOOP = 512  # m of street before it repeats: whole lengths of the ground's texture
LANE = 1.75  # m from the middle of the road to the middle of a lane
PARKING = 5  # m from the middle to the kerb from where on cars are parked
GREYS = (44, 40, 38), (190, 192, 194), (226, 228, 228), (104, 108, 110), (150, 140, 120)
PAINTS = *GREYS, (36, 34, 150), (128, 74, 36), (84, 92, 60), (46, 60, 96)
CLOTHES = (40, 36, 36), (70, 52, 40), (48, 56, 92), (120, 84, 50), (52, 44, 130), (150, 150, 152)
SKINS = (120, 150, 200), (70, 96, 140)


def furnish(rng: Generator, half: float, walk: float, speed: float) -> Iterator[Thing]:
    """All things of a street.

    half, walk: m from the middle to the kerb, and from there to the houses; speed: the camera's.
    """
    built, green = rng.uniform((0.45, 0.1), (1, 0.8)).tolist()
    trees, fences = [leaves(rng) for _ in range(3)], [fence(rng) for _ in range(3)]
    facades = [facade(rng) for _ in range(5)]
    for side in (-1, 1):
        yield from _frontage(rng, side * (half + walk), built, facades, trees, fences[side])
        yield from _kerb(rng, side * (half + 0.5), green, trees[0], fences[0])
        yield from _vehicles(rng, side, half, speed)
        yield from _people(rng, side, half, walk)


def _frontage(
    rng: Generator, x: float, built: float, facades: list[Mips], trees: list[Mips], bars: Mips
) -> Iterator[Thing]:
    """Houses, and between them trees behind fences."""
    s = 0.0
    while s < LOOP - 9:
        length = 2.6 * int(rng.integers(3, BAYS + 1))
        if rng.random() < built:
            floors, pitched = int(rng.integers(2, FLOORS + 1)), rng.random() < 0.6
            front = facades[rng.integers(len(facades))]
            yield Thing(draw.draw_house, s, x, (front, floors, pitched), length=length)
        else:
            yield Thing(draw.draw_fence, s, x, bars, rng.uniform(1.1, 1.9), length)
            for _ in range(int(rng.integers(1, 4))):
                aside, along, tall = rng.uniform((2, s, 5), (7, s + length, 11)).tolist()
                art = trees[rng.integers(len(trees))]
                yield Thing(draw.draw_tree, along, x + np.copysign(aside, x), art, tall)
        s += length


def _kerb(rng: Generator, x: float, green: float, crown: Mips, bars: Mips) -> Iterator[Thing]:
    """Lamps, signs, trees and railings."""
    for s in range(14, LOOP, 32):
        yield Thing(draw.draw_lamp, s + rng.uniform(-8, 8), x, None, rng.uniform(6, 8.5))
        for part in range(4) if rng.random() < 0.35 else ():
            yield Thing(draw.draw_fence, s + 3 * part, x, bars, 1.1, 3)
    for s in range(10, LOOP, 12):
        if rng.random() < 0.7:
            art = plate(int(rng.integers(len(PLATES))))
            yield Thing(draw.draw_sign, s + rng.uniform(0, 5), x, art, rng.uniform(2.3, 3))
        if rng.random() < green:
            yield Thing(draw.draw_tree, s - 4, x, crown, rng.uniform(4.5, 7.5))


def _vehicles(rng: Generator, side: int, half: float, speed: float) -> Iterator[Thing]:
    for s in range(4, LOOP - 8, 7) if half > PARKING else ():
        if rng.random() < 0.38:
            yield _vehicle(rng, s, side * (half - 1.1), 0, 4)
    if side > 0:
        for s in range(0, LOOP, 36):
            if rng.random() < 0.6:
                yield _vehicle(rng, s, LANE, -9)
    else:
        for start in rng.uniform((13, 62), (20, 74)).tolist():
            if rng.random() < 0.55:
                yield _vehicle(rng, start, -LANE, speed)  # ahead of the camera


def _vehicle(rng: Generator, s: float, x: float, speed: float, kinds: int = 5) -> Thing:
    kind, paint = int(rng.integers(kinds)), PAINTS[rng.integers(len(PAINTS))]
    return Thing(draw.draw_car, s, x, car(kind, paint, x > 0), 1, SHAPES[kind][0], speed)


def _people(rng: Generator, side: int, half: float, walk: float) -> Iterator[Thing]:
    for s in range(0, LOOP, 12):
        x, tall, speed = rng.uniform((0.9, 0.92, 1.1), (walk - 0.4, 1.08, 1.5)).tolist()
        speed *= rng.choice([-1, 1])
        yield Thing(draw.draw_walker, s, side * (half + x), _clothes(rng), tall, speed=speed)
    for s in range(20, LOOP, 36):
        if rng.random() < 0.75:
            x, tall = side * (half - 0.7 - 1.65 * (half > PARKING)), rng.uniform(0.95, 1.05)
            yield Thing(draw.draw_cyclist, s, x, _clothes(rng), tall, speed=-4.0 * side)


def _clothes(rng: Generator) -> Array:
    """(4, 3) colours of coat, legs, skin, and the dark rest."""
    coat, legs, skin = rng.integers(0, (len(CLOTHES), 3, 2)).tolist()
    return np.array((CLOTHES[coat], CLOTHES[legs], SKINS[skin], (34, 34, 38)))
