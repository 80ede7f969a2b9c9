"""The kernels in plain numpy: slow, short, and the oracle of the tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rtseg.classes import IGNORE
from rtseg.frame import ColourMatrix, Picture, Yuv420, check_bgr
from rtseg.kernels._views import (
    check_blend,
    check_confidence,
    check_labels,
    check_logits,
    check_picture,
    check_tensor,
)
from rtseg.kernels.tables import BlendTable, axis, rgb_from_yuv, yuv_from_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray


def preprocess(
    image: Picture, out: NDArray[np.float32], mean: Sequence[float], std: Sequence[float]
) -> None:
    """See `rtseg.kernels.cpu.preprocess`."""
    check_picture(image)
    check_tensor(out)
    height, width = out.shape[1:]
    if isinstance(image, Yuv420):
        yuv = np.stack([resize(plane, height, width) for plane in (image.y, image.u, image.v)])
        rgb = _rgb(yuv, image.matrix, image.full_range)
    else:
        rgb = np.stack([resize(image[:, :, channel], height, width) for channel in (2, 1, 0)])
    middle, spread = np.reshape(mean, (3, 1, 1)), np.reshape(std, (3, 1, 1))
    if not (spread > 0).all():
        raise ValueError(f"std {std}; expected three positive numbers")
    out[:] = (rgb / 255 - middle) / spread


def postprocess(
    logits: NDArray[np.float32],
    labels: NDArray[np.uint8],
    *,
    confidence: NDArray[np.uint8] | None = None,
) -> bool:
    """See `rtseg.kernels.cpu.postprocess`."""
    check_logits(logits)
    check_labels(labels)
    if confidence is not None:
        check_confidence(confidence, labels)
    if not np.isfinite(logits).all():
        labels[:] = IGNORE
        if confidence is not None:
            confidence[:] = 0
        return False
    values = resize(logits, *labels.shape)
    labels[:] = values.argmax(axis=0)
    if confidence is not None:
        confidence[:] = np.rint(255 / np.exp(values - values.max(axis=0)).sum(axis=0))
    return True


def blend(image: Picture, labels: NDArray[np.uint8], table: BlendTable, out: Picture) -> None:
    """See `rtseg.kernels.cpu.blend`."""
    check_blend(image, labels, out)
    colours, alpha = table.colours.astype(np.int64), table.alpha.astype(np.int64)[labels]
    if isinstance(image, np.ndarray) and isinstance(out, np.ndarray):
        out[:] = _mix(image, colours[labels], alpha[:, :, None])
    elif isinstance(image, Yuv420) and isinstance(out, Yuv420):
        out.y[:] = _mix(image.y, colours[labels, 0], alpha)
        for plane, result, channel in ((image.u, out.u, 1), (image.v, out.v, 2)):
            # Chroma of each pixel, blended, then averaged over the pixels that share a sample.
            every = plane.repeat(2, axis=0).repeat(2, axis=1)[: image.height, : image.width]
            result[:] = _halve(_mix(every, colours[labels, channel], alpha))


def to_bgr(image: Picture) -> NDArray[np.uint8]:
    """See `rtseg.kernels.cpu.to_bgr`."""
    check_picture(image)
    if not isinstance(image, Yuv420):
        return image
    size = slice(image.height), slice(image.width)
    u, v = (plane.repeat(2, axis=0).repeat(2, axis=1)[size] for plane in (image.u, image.v))
    rgb = _rgb(np.stack([image.y, u, v]).astype(np.float64), image.matrix, image.full_range)
    return np.rint(rgb[::-1]).astype(np.uint8).transpose(1, 2, 0).copy()


def from_bgr(bgr: NDArray[np.uint8], out: Yuv420) -> None:
    """See `rtseg.kernels.cpu.from_bgr`."""
    check_bgr(bgr)
    if bgr.shape[:2] != out.y.shape:
        raise ValueError(f"an image of {bgr.shape[:2]} and planes of {out.y.shape} (H, W)")
    weights = yuv_from_rgb(out.matrix, out.full_range)
    rgb = bgr[:, :, ::-1].astype(np.float64)
    yuv = np.moveaxis(rgb @ weights[:, :3].T + weights[:, 3], 2, 0)
    out.y[:] = np.clip(np.rint(yuv[0]), 0, 255)
    for plane, values in ((out.u, yuv[1]), (out.v, yuv[2])):
        plane[:] = np.clip(np.rint(_mean_2x2(values)), 0, 255)


def count(labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """See `rtseg.kernels.cpu.count`."""
    check_labels(labels)
    return np.bincount(labels.ravel(), minlength=256).astype(np.int64)


def resize(samples: NDArray[np.number[Any]], height: int, width: int) -> NDArray[np.float32]:
    """Bilinear resize of the last two axes to (height, width), in float32.

    Rows are mixed first, then columns, and each product and each sum is rounded: a kernel that
    does the same operations gives the same bits.
    """
    values: NDArray[np.float32] = samples.astype(np.float32)
    rows, columns = axis(values.shape[-2], height), axis(values.shape[-1], width)
    below = np.minimum(rows.low + 1, values.shape[-2] - 1)
    right = np.minimum(columns.low + 1, values.shape[-1] - 1)
    above, under = values[..., rows.low, :], values[..., below, :]
    mixed: NDArray[np.float32] = above * rows.near[:, None] + under * rows.far[:, None]
    left, after = mixed[..., columns.low], mixed[..., right]
    result: NDArray[np.float32] = left * columns.near + after * columns.far
    return result


def _rgb(
    yuv: NDArray[np.floating[Any]], matrix: ColourMatrix, full_range: bool
) -> NDArray[np.float64]:
    """(3, H, W) y, u, v → r, g, b, clipped to 0–255."""
    weights = rgb_from_yuv(matrix, full_range)
    rgb: NDArray[np.float64] = np.einsum("ij,jhw->ihw", weights[:, :3], yuv)
    return np.clip(rgb + weights[:, 3, None, None], 0, 255)


def _mix(
    pixels: NDArray[np.uint8], colours: NDArray[np.int64], alpha: NDArray[np.int64]
) -> NDArray[np.int64]:
    mixed: NDArray[np.int64] = (pixels * (256 - alpha) + colours * alpha + 128) >> 8
    return mixed


def _halve(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Means of 2x2 blocks of integers, halves rounded up."""
    return np.floor(_mean_2x2(values) + 0.5).astype(np.int64)


def _mean_2x2(values: NDArray[np.number[Any]]) -> NDArray[np.float64]:
    """Means over 2x2 blocks; at odd edges over the pixels that exist."""
    height, width = values.shape
    starts = np.arange(0, height, 2), np.arange(0, width, 2)
    sums = np.add.reduceat(np.add.reduceat(values.astype(np.float64), starts[0], 0), starts[1], 1)
    sizes = np.minimum(2, height - starts[0])[:, None] * np.minimum(2, width - starts[1])
    means: NDArray[np.float64] = sums / sizes
    return means
