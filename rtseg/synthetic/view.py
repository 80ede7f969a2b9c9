"""The camera of one frame: it projects metres to pixels and paints them with their label."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Mips: TypeAlias = list[Array]  # a (H, W, 4) texture (B, G, R, alpha) and its halvings
Mesh: TypeAlias = tuple[Array, Array]  # (P, 12, 3) m, in painting order, and (P, 3) colours
NEAR = 0.6  # m: vertices nearer than this are drawn as if there
ROUND = np.arange(12) * (math.pi / 6)  # the corners of everything round


class Id:  # of CamVid's classes
    SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST = range(11)


@dataclass(frozen=True, slots=True)
class View:
    canvas: Array  # (H, W, 4) uint8: B, G, R, class id
    axes: Array  # (2,) focal length along x and y, px
    origin: Array  # (2,) vanishing point, px
    eye: Array  # (2,) x and y of the camera, m
    bend: float  # how far the road bends aside, px per m ahead
    gain: Array  # (3,) light
    haze: Array  # (3,) what far things fade to
    time: float  # s

    def project(self, points: Array) -> Array:
        """(…, 3) metres to (…, 2) pixels."""
        z = np.maximum(points[..., 2:], NEAR)
        pixels = np.asarray((points[..., :2] - self.eye) * (self.axes / z) + self.origin)
        pixels[..., 0] += self.bend * z[..., 0]
        return pixels

    def tint(self, colours: Any, z: float) -> Array:
        """(…, 3) colours in this light, behind `z` m of haze."""
        fade = 0.5 - 0.5 * math.exp(-max(z, 0) / 120)
        return np.minimum(np.asarray(colours) * (self.gain * (1 - fade)) + self.haze * fade, 255)

    def poly(self, points: Any, colour: Any, label: int) -> None:
        """Fill a convex polygon, (N, 3) m."""
        corners = np.array(points, np.float64)
        ink = (*self.tint(colour, corners[:, 2].min()).tolist(), label)
        _fill(self.canvas, self.project(corners), ink)

    def mesh(self, mesh: Mesh, place: tuple[float, float, float], label: int) -> None:
        """Fill the polygons of a mesh, moved by `place`, that face the camera."""
        pixels = self.project(mesh[0] + place)
        x, y = pixels[..., 0], pixels[..., 1]
        area = (x * y[:, [*range(1, 12), 0]] - y * x[:, [*range(1, 12), 0]]).sum(1)
        inks = self.tint(mesh[1], place[2]).tolist()
        for i in np.flatnonzero(area < -0.5):
            _fill(self.canvas, pixels[i], (*inks[i], label))

    def limbs(self, joints: Array, bones: Any, colours: Any, label: int) -> None:
        """Draw bones (two joints, radius in m, which colour) between (J, 3) joints, in order."""
        pixels, z = _fixed(self.project(joints)).tolist(), max(float(joints[0, 2]), NEAR)
        inks, scale = self.tint(colours, z).tolist(), 2 * self.axes[0] / z
        for a, b, radius, ink in bones:
            thick = max(1, round(radius * scale))
            cv2.line(self.canvas, pixels[a], pixels[b], (*inks[ink], label), thick, cv2.LINE_8, 3)

    def paste(
        self, mips: Mips, quad: Any, label: int, crop: Any = (0, 0, 1, 1), gain: float = 1
    ) -> None:
        """Paint a texture's crop (left, top, right, bottom; 0–1) on a quad: (4, 3) m, clockwise
        from its top left corner."""
        corners = np.array(quad, np.float64)
        pixels = self.project(corners)
        height, width = self.canvas.shape[:2]
        x0, y0 = np.maximum(np.floor(pixels.min(0)), 0).astype(int).tolist()
        x1, y1 = np.minimum(np.ceil(pixels.max(0)) + 1, (width, height)).astype(int).tolist()
        if x1 <= x0 + 1 or y1 <= y0 + 1:
            return
        texture, source = _level(mips, crop, np.ptp(pixels, 0))
        local = pixels - (x0, y0)
        warp = cv2.getPerspectiveTransform(source, local.astype(np.float32))
        size, repeat = (x1 - x0, y1 - y0), cv2.BORDER_WRAP
        ink: Array = cv2.warpPerspective(texture, warp, size, borderMode=repeat)
        mask = np.zeros(ink.shape[:2], np.uint8)
        _fill(mask, local, 1)
        mask &= ink[..., 3] >> 7  # opaque from one half
        table = np.full((1, 256, 4), label, np.uint8)
        table[0, :, :3] = self.tint(np.arange(256)[:, None] * gain, corners[:, 2].min())
        cv2.copyTo(cv2.LUT(ink, table), mask, self.canvas[y0:y1, x0:x1])

    def shade(self, polys: Iterable[tuple[int, Array]]) -> None:
        """Darken the ground to so many 255ths under (N, 3) m polygons, with soft edges."""
        top = max(0, math.ceil(self.origin[1]) + 1)
        ground = self.canvas[top:]
        mask: Array = np.full(ground.shape[:2], 255, np.uint8)
        for value, points in polys:
            _fill(mask, self.project(points) - (0, top), value)
        mask = cv2.blur(mask, (5, 5))
        light = cv2.merge((mask, mask, mask, np.full_like(mask, 255)))  # the id stays
        cv2.multiply(ground, light, ground, 1 / 255)


def _fixed(pixels: Array) -> Array:
    """Pixels as the eighths that OpenCV draws with shift 3."""
    return np.asarray(np.rint(pixels * 8), np.int32)


def _fill(canvas: Array, pixels: Array, ink: Any) -> None:
    cv2.fillConvexPoly(canvas, _fixed(pixels), ink, cv2.LINE_8, 3)


def _level(mips: Mips, crop: Any, span: Array) -> tuple[Array, Array]:
    """The texture level for a crop shown over `span` (x, y) pixels, and its (4, 2) corners."""
    left, top, right, bottom = crop
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    texels = np.ptp(corners, 0) * mips[0].shape[1::-1]
    shrink = math.log2(max(1, *texels / np.maximum(span, 1)))
    texture = mips[min(max(round(shrink - 0.3), 0), len(mips) - 1)]
    return texture, (corners * texture.shape[1::-1] - 0.5).astype(np.float32)
