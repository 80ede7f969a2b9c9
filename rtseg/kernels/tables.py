"""What the kernels look up: resize tables, colour matrices and blend tables.

Resizing is bilinear with half-pixel centres and clamped edges, no antialiasing: sample i of `dst`
lies at (i + 0.5) * src / dst - 0.5 on the source grid (OpenCV's INTER_LINEAR, PyTorch's
align_corners=False).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from rtseg.classes import IGNORE, LabelSet
from rtseg.errors import InputError
from rtseg.frame import ColourMatrix, Picture, Yuv420

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Scalar = TypeVar("_Scalar", bound=np.generic)

# Luma weights of red and blue, Kr and Kb; green has the rest.
# ITU-R BT.601-7 2.5.1, BT.709-6 3.2 and BT.2020-2 table 4 (non-constant luminance).
LUMA_WEIGHTS: dict[ColourMatrix, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
}

PATTERN = 16
"""Pixels in `BlendTable.pattern`: how many BGR pixels of one class are blended at a time."""


class Axis(NamedTuple):
    """Where the samples of one resized axis lie. All arrays are read-only.

    A *cell* is the interval between two neighbouring source samples; a source of n samples has
    n - 1 of them, a source of one sample has one cell of no width.

    low: (dst,) uint32, the cell of each sample, which is also the source sample before it.
    near, far: (dst,) float32 weights of source samples `low` and `low + 1`, 0–1, sum 1. For a
        source of one sample `far` is 0.
    starts: (cells + 1,) int32; samples starts[k] … starts[k + 1] - 1 lie in cell k.
    """

    low: NDArray[np.uint32]
    near: NDArray[np.float32]
    far: NDArray[np.float32]
    starts: NDArray[np.int32]


@lru_cache(maxsize=256)
def axis(src: int, dst: int) -> Axis:
    """Tables to resize `src` samples to `dst`. Raises ValueError for sizes below 1."""
    if src < 1 or dst < 1:
        raise ValueError(f"cannot resize {src} samples to {dst}; both must be at least 1")
    cells = max(src - 1, 1)
    at = np.clip((np.arange(dst) + 0.5) * src / dst - 0.5, 0, src - 1)
    low = np.minimum(at.astype(np.uint32), np.uint32(cells - 1))
    far = (at - low).astype(np.float32)
    starts = np.searchsorted(low, np.arange(cells + 1)).astype(np.int32)
    return Axis(_frozen(low), _frozen(np.float32(1) - far), _frozen(far), _frozen(starts))


def rgb_from_yuv(matrix: ColourMatrix, full_range: bool) -> NDArray[np.float64]:
    """(3, 4) matrix m with (r, g, b) = m @ (y, u, v, 1), all of 0–255, before clipping."""
    kr, kb = LUMA_WEIGHTS[matrix]
    kg = 1 - kr - kb
    luma, chroma, black = (1.0, 1.0, 0) if full_range else (255 / 219, 255 / 224, 16)
    rows = np.array(
        [
            [luma, 0, 2 * (1 - kr) * chroma],
            [luma, -2 * kb * (1 - kb) / kg * chroma, -2 * kr * (1 - kr) / kg * chroma],
            [luma, 2 * (1 - kb) * chroma, 0],
        ]
    )
    return np.column_stack([rows, -rows @ (black, 128, 128)])


def yuv_from_rgb(matrix: ColourMatrix, full_range: bool) -> NDArray[np.float64]:
    """(3, 4) matrix m with (y, u, v) = m @ (r, g, b, 1): the inverse of `rgb_from_yuv`."""
    forward = rgb_from_yuv(matrix, full_range)
    inverse = np.linalg.inv(forward[:, :3])
    return np.column_stack([inverse, -inverse @ forward[:, 3]])


@lru_cache(maxsize=64)
def tensor_from_bgr(mean: tuple[float, ...], std: tuple[float, ...]) -> NDArray[np.float32]:
    """(3, 2) float32 scale and offset from 0–255 to the network's input, in RGB order."""
    middle, spread = _statistics(mean, std)
    return _frozen(np.column_stack([1 / (255 * spread), -middle / spread]).astype(np.float32))


@lru_cache(maxsize=64)
def tensor_from_yuv(
    matrix: ColourMatrix, full_range: bool, mean: tuple[float, ...], std: tuple[float, ...]
) -> NDArray[np.float32]:
    """(3, 6) float32: weights of y, u, v and 1, then what 0 and 255 become; rows are R, G, B.

    Clipping to 0–255 and then normalising is the same as normalising and clipping to what 0 and
    255 become, since the deviations are positive.
    """
    middle, spread = _statistics(mean, std)
    weights = rgb_from_yuv(matrix, full_range) / (255 * spread[:, None])
    weights[:, 3] -= middle / spread
    limits = np.column_stack([-middle / spread, (1 - middle) / spread])
    return _frozen(np.column_stack([weights, limits]).astype(np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class BlendTable:
    """How each label is drawn over a picture.

    colours: (256, 3) uint8 in the picture's own colour space: B, G, R, or Y, U, V.
    alpha: (256,) uint16 opacity, 0 (show the original) … 256 (show the colour).
    pattern: (256, 3 * PATTERN) uint16, colour * alpha + 128 of that many pixels in a row; made
        from the other two.
    """

    colours: NDArray[np.uint8]
    alpha: NDArray[np.uint16]
    pattern: NDArray[np.uint16] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, array, shape, kind in (
            ("colours", self.colours, (256, 3), np.uint8),
            ("alpha", self.alpha, (256,), np.uint16),
        ):
            if array.shape != shape or array.dtype != kind:
                raise ValueError(f"{name} is {array.shape} {array.dtype}; expected {shape} {kind}")
            object.__setattr__(self, name, _frozen(np.array(array)))
        if self.alpha.max() > 256:
            raise ValueError(f"alpha reaches {self.alpha.max()}; expected 0–256")
        # At most 255 * 256 + 128, which fits 16 bits.
        pixel = self.colours.astype(np.uint16) * self.alpha[:, None] + np.uint16(128)
        object.__setattr__(self, "pattern", _frozen(np.tile(pixel, (1, PATTERN))))


def blend_table(
    classes: LabelSet,
    *,
    alpha: float,
    like: Picture,
    visible: Collection[int] | None = None,
) -> BlendTable:
    """The classes' colours, in the colour space of the picture `like`.

    alpha: opacity, 0–1. visible: the ids to draw; None draws them all. The pixels of other ids,
    and of ids that are no class, show the original.

    Raises InputError if alpha is outside 0–1 or an id in `visible` is no class.
    """
    if not 0 <= alpha <= 1:
        raise InputError(f"opacity {alpha}; expected 0 (invisible) to 1 (opaque)")
    shown = sorted(set(range(len(classes)) if visible is None else visible))
    unknown = [i for i in shown if not 0 <= i < len(classes)]
    if unknown:
        raise InputError(f"class ids {unknown}; {classes.name} has ids 0 to {len(classes) - 1}")
    opacity = np.zeros(256, np.uint16)
    opacity[shown] = round(alpha * 256)
    opacity[IGNORE] = 0
    colours = classes.palette()
    if isinstance(like, Yuv420):
        colours = _yuv_colours(colours, like.matrix, like.full_range)
    return BlendTable(colours, opacity)


def _yuv_colours(
    bgr: NDArray[np.uint8], matrix: ColourMatrix, full_range: bool
) -> NDArray[np.uint8]:
    """(n, 3) BGR colours as Y, U, V."""
    weights = yuv_from_rgb(matrix, full_range)
    yuv = bgr[:, ::-1] @ weights[:, :3].T + weights[:, 3]
    return np.clip(np.rint(yuv), 0, 255).astype(np.uint8)


def _statistics(
    mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    middle, spread = np.array(mean, np.float64), np.array(std, np.float64)
    if middle.shape != (3,) or spread.shape != (3,) or not (spread > 0).all():
        raise ValueError(f"mean {mean} and std {std}; expected three numbers each, std positive")
    return middle, spread


def _frozen(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    array.flags.writeable = False
    return array
