"""Pictures and logits of every size and memory layout, drawn by hypothesis."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtseg.frame import ColourMatrix, Picture, Yuv420

MATRICES: tuple[ColourMatrix, ...] = ("bt601", "bt709", "bt2020")
PADDING = 7
"""Bytes after each row of a padded plane."""

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.tuples(st.integers(1, 33), st.integers(1, 150))
SMALL = st.tuples(st.integers(1, 20), st.integers(1, 24))


def padded(array: NDArray[np.uint8], fill: int = 77) -> NDArray[np.uint8]:
    """The same pixels in memory with `PADDING` bytes of `fill` after each row."""
    height, row = array.shape[0], array.size // array.shape[0]
    memory = np.full((height, row + PADDING), fill, np.uint8)
    memory[:, :row] = array.reshape(height, row)
    return np.lib.stride_tricks.as_strided(
        memory, array.shape, (row + PADDING, *array.strides[1:]), writeable=True
    )


def random_bytes(rng: np.random.Generator, *shape: int) -> NDArray[np.uint8]:
    return rng.integers(0, 256, shape, np.uint8)


def random_planes(
    rng: np.random.Generator, height: int, width: int, matrix: ColourMatrix, full_range: bool
) -> Yuv420:
    half = (height + 1) // 2, (width + 1) // 2
    return Yuv420(
        random_bytes(rng, height, width),
        random_bytes(rng, *half),
        random_bytes(rng, *half),
        matrix,
        full_range,
    )


def pad(image: Picture) -> Picture:
    """The same picture with padded rows."""
    if isinstance(image, Yuv420):
        planes = (padded(plane) for plane in (image.y, image.u, image.v))
        return Yuv420(*planes, image.matrix, image.full_range)
    return padded(image)


def freeze(image: Picture) -> Picture:
    """The same picture, made read-only."""
    for plane in arrays(image):
        plane.flags.writeable = False
    return image


def blank(image: Picture, fill: int = 99) -> Picture:
    """A picture of the same size, kind and colour space to write to."""
    if isinstance(image, Yuv420):
        planes = (np.full(plane.shape, fill, np.uint8) for plane in (image.y, image.u, image.v))
        return Yuv420(*planes, image.matrix, image.full_range)
    return np.full(image.shape, fill, np.uint8)


def arrays(image: Picture) -> list[NDArray[np.uint8]]:
    return [image.y, image.u, image.v] if isinstance(image, Yuv420) else [image]


@st.composite
def pictures(draw: Any, sizes: st.SearchStrategy[tuple[int, int]] = SIZES) -> Picture:
    """BGR, or planes of any matrix and range; contiguous, padded or read-only."""
    rng = np.random.default_rng(draw(SEEDS))
    height, width = draw(sizes)
    image: Picture = random_bytes(rng, height, width, 3)
    if draw(st.booleans()):
        matrix, full_range = draw(st.sampled_from(MATRICES)), draw(st.booleans())
        image = random_planes(rng, height, width, matrix, full_range)
    change = draw(st.sampled_from((None, pad, freeze)))
    return change(image) if change else image


@st.composite
def label_maps(draw: Any, height: int, width: int) -> NDArray[np.uint8]:
    """Bands and patches of a few ids, 255 among them, so that blocks are uniform and mixed."""
    rng = np.random.default_rng(draw(SEEDS))
    labels = np.full((height, width), draw(st.sampled_from((0, 3, 255))), np.uint8)
    for _ in range(draw(st.integers(0, 6))):
        top, left = rng.integers(height), rng.integers(width)
        labels[top : top + rng.integers(1, 20), left : left + rng.integers(1, 90)] = rng.choice(
            [0, 1, 5, 10, 200, 255]
        )
    return labels
