"""The frames of a drive along a street."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np

from rtseg.synthetic import things as draw
from rtseg.synthetic.street import LANE, LOOP, furnish
from rtseg.synthetic.textures import ACROSS, ALONG, HALF, LENGTH, ground, sky
from rtseg.synthetic.things import FAR, Thing
from rtseg.synthetic.view import NEAR, ROUND, Array, View

NEARER = 90.0  # m: things other than houses and trees are seen from here on
# B, G, R of the sky's top, its foot (also the haze) and clouds, 0–255; gain; the sun's share, 0–1
LIGHTS = (
    ((214, 160, 96), (238, 226, 208), (252, 250, 248), (1.02, 1.06, 1.12), 0.55),
    ((244, 240, 236), (252, 252, 252), (226, 224, 220), (0.96, 0.96, 0.98), 0.15),
    ((96, 78, 70), (150, 176, 216), (112, 104, 112), (0.42, 0.38, 0.42), 0.0),
    ((176, 164, 150), (222, 218, 214), (200, 194, 188), (0.78, 0.77, 0.76), 0.0),
    ((200, 156, 118), (200, 218, 240), (212, 222, 242), (0.88, 0.97, 1.1), 0.5),
)


class Scene:
    """An endless drive along one street; `render(i)` depends on size, seed, fps and `i` alone.

    width, height: of the frames, px, at least 64 each. seed: which street and light, from 0.
    """

    def __init__(self, width: int, height: int, *, seed: int = 0, fps: float = 30.0) -> None:
        if width < 64 or height < 64 or not fps > 0:
            raise ValueError(
                f"a {width}x{height} scene at {fps} frames/s; expected 64x64 or more, above 0"
            )
        self.width, self.height, self.seed, self.fps = width, height, seed, fps
        rng = np.random.default_rng([seed, 1])  # the street is the same at every size
        *light, self._sunny = LIGHTS[rng.choice(len(LIGHTS), p=[0.3, 0.25, 0.12, 0.18, 0.15])]
        self._light, self._sun = np.array(light), int(rng.choice([-1, 1]))  # it is on that side
        least, most = (3.5, 2.5, 7, -0.004, 0.42, 1.25, 0.5), (4.3, 5, 12, 0.004, 0.5, 1.6, 0.62)
        half, walk, self._speed, *camera = rng.uniform(least, most).tolist()
        self._curve, self._level, self._eye, focal = camera
        self._focal = (width + height) * focal
        half += 1.7 * (rng.random() < 0.67)
        self._things = list(furnish(rng, half, walk, self._speed))
        self._ground = ground(rng, half, walk, self._light[3])
        rng = np.random.default_rng([seed, 2])
        self._margin = round(0.1 * self._focal) + 8  # px of sky beyond each edge
        above = round(height * 0.5 + 0.006 * self._focal) + 4
        self._sky = sky(rng, self._light, width + 2 * self._margin, above)
        bell = np.sort(rng.normal(64, rng.uniform(1.5, 4), 256)).astype(np.uint8)
        self._noise = cv2.LUT(rng.integers(0, 256, (height + 64, width + 64, 3), np.uint8), bell)

    def render(self, index: int) -> tuple[Array, Array]:
        """Frame `index`: its image, (H, W, 3) uint8 BGR, and labels, (H, W) uint8, CamVid ids."""
        time = index / self.fps
        travelled = self._speed * time + 1.5 * math.sin(0.4 * time)
        view = self._view(time, travelled)
        self._paint_ground(view, travelled)
        things = self._visible(time, travelled)
        view.shade(self._shadows(things))
        for z, thing in things:
            thing.draw(view, thing, z)
        return self._develop(view.canvas, index), view.canvas[..., 3].copy()

    def _view(self, time: float, travelled: float) -> View:
        """The camera on a road that winds once per loop, on soft springs, under the sky."""
        turn, focal = 2 * math.pi * travelled / LOOP, self._focal
        yaw = 0.012 * math.sin(0.7 * time) + 0.004 * math.sin(2.3 * time)
        pitch = 0.003 * math.sin(2.9 * time) + 0.0015 * math.sin(7.1 * time)
        origin = np.array((self.width / 2 + focal * yaw, self.height * self._level + focal * pitch))
        aside = -20 * self._curve * math.cos(turn)  # rad that the road has turned
        left = self._margin - round(focal * (yaw - aside))
        canvas = np.zeros((self.height, self.width, 4), np.uint8)
        rows = math.ceil(origin[1]) + 1
        canvas[:rows] = self._sky[-rows:, left : left + self.width]
        eye = np.array((0.12 * math.sin(0.5 * time) - LANE, self._eye + 0.01 * math.sin(5 * time)))
        bend = 0.5 * self._curve * math.sin(turn) * focal
        axes = np.array((focal, -focal))
        return View(canvas, axes, origin, eye, bend, self._light[3], self._light[1], time)

    def _paint_ground(self, view: View, travelled: float) -> None:
        """Look up every row of the ground in the texture shortened to its distance."""
        start, drop = math.ceil(view.origin[1]) + 1, self._focal * view.eye[1]
        z = drop / (np.arange(start, self.height) + 0.5 - view.origin[1])
        middle = (view.eye[0] - view.bend / self._focal * z * z + HALF) * ACROSS - 0.5
        aside = (np.arange(self.width) + 0.5 - view.origin[0]) * (ACROSS / self._focal)
        map_x = np.outer(z.astype(np.float32), aside.astype(np.float32))
        map_x += middle.astype(np.float32)[:, None]
        levels = np.clip(np.log2(z * z / drop * ALONG) / 2, 0, 3).astype(int)  # texels per row
        for level, texture in enumerate(self._ground):
            rows = slice(int((levels > level).sum()), int((levels >= level).sum()))
            deep = (z[rows, None] + travelled) % LENGTH * (ALONG / 4**level)
            if len(deep):
                map_y = np.full_like(map_x[rows], deep)
                args = (cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
                view.canvas[start:][rows] = cv2.remap(texture, map_x[rows], map_y, *args)
        far = view.canvas[start : start + int((z > 18).sum()), :, :3]
        fade = 0.5 - 0.5 * np.exp(-z[: len(far), None, None] / 120).astype(np.float32)
        far[:] = far * (1 - fade) + view.haze.astype(np.float32) * fade

    def _visible(self, time: float, travelled: float) -> list[tuple[float, Thing]]:
        """(z, thing) of what the camera may see, far to near."""
        found = []
        for thing in self._things:
            reach = thing.length + 6
            z = (thing.s + thing.speed * time - travelled + reach) % LOOP - reach
            limit = FAR if thing.draw in (draw.draw_house, draw.draw_tree) else NEARER
            if NEAR - thing.length < z < limit:
                depth = thing.length / (2 if thing.draw is draw.draw_car else 1)
                found.append((z + depth + 0.8 * abs(thing.x + LANE), z, thing))
        found.sort(key=lambda item: -item[0])
        return [(z, thing) for _, z, thing in found]

    def _shadows(self, things: list[tuple[float, Thing]]) -> Iterator[tuple[int, Array]]:
        """How light the ground stays, 0–255, under polygons: the sun's shade, then contacts."""
        lit, sun = round(255 * (1 - self._sunny)), self._sun
        for z, t in things:
            far, edge = z + t.length, t.x - sun * 4
            if t.draw is draw.draw_house and t.x * sun > 0:
                corners = [(t.x, 0, z), (t.x, 0, far), (edge, 0, far + 2), (edge, 0, z + 2)]
                yield lit, np.array(corners)
            elif t.draw is draw.draw_tree:
                yield lit, _oval(t.x - sun * 2.5, z + 1, 0.36 * t.size, 0.36 * t.size)
        for z, t in things:
            if t.draw is draw.draw_car:
                yield 70, _oval(t.x, z + t.length / 2, 1.1, 0.56 * t.length)
            elif t.draw in (draw.draw_walker, draw.draw_cyclist):
                yield 125, _oval(t.x, z, 0.3, 0.5)

    def _develop(self, canvas: Array, index: int) -> Array:
        """What lens and sensor make of the canvas: soft edges, exposure, noise."""
        image = cv2.GaussianBlur(cv2.cvtColor(canvas, cv2.COLOR_BGRA2BGR), (3, 3), 0)
        exposure = 1 + 0.05 * math.sin(0.23 * index / self.fps + self.seed)
        down, right = (index * 37 + 11) % 64, (index * 23 + 5) % 64
        noise = self._noise[down : down + self.height, right : right + self.width]
        return cv2.addWeighted(image, exposure, noise, 1, -64)


def _oval(x: float, z: float, wide: float, deep: float) -> Array:
    return np.stack((x + wide * np.cos(ROUND), 0 * ROUND, z + deep * np.sin(ROUND)), -1)


def labelled_frames(
    count: int, width: int, height: int, *, seed: int = 0
) -> Iterator[tuple[Array, Array]]:
    """`count` (image, labels), as `Scene.render` gives them; every street gives four, far apart."""
    for street in range(0, count, 4):
        scene = Scene(width, height, seed=seed * 100_003 + street)
        for part in range(min(4, count - street)):
            yield scene.render(431 * part + 97 * street)
