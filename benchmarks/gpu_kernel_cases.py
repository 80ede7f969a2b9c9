"""The kernels on the GPU as cases to be timed: memory, calls, the bytes they move, what is right.

Each case works on a ring of pictures that is larger than any cache of the device, so that what is
measured is its memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import scenes
from numba import cuda

from rtseg.benchmark.device_timing import Call
from rtseg.classes import CAMVID
from rtseg.device.arrays import Stream
from rtseg.device.transfer import to_host
from rtseg.frame import DevicePicture, Layout, Picture, Yuv420, empty_like
from rtseg.kernels import cpu, reference
from rtseg.kernels import cuda as kernels
from rtseg.kernels.tables import axis, blend_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

Size: TypeAlias = tuple[int, int]
Verdict: TypeAlias = dict[str, int]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ALPHA, STRIDE = 0.5, 4
FOOTPRINT = 256 << 20
"""Bytes that a ring takes at least: several times the cache of an H200, which has 60 MB."""
SECTOR = 32
"""Bytes that the device's memory is read by."""
_CONTENTS = 4


class Case(NamedTuple):
    """A kernel at one size. nbytes: read and written by a call; calls: one for each picture of the
    ring; check: raises AssertionError if a call did not do what the CPU's kernel does, and says how
    many labels differ where two classes are equal; image, logits, labels: of the first picture,
    on the host, for those who do the same."""

    name: str
    nbytes: int
    calls: Sequence[Call]
    check: Callable[[], Verdict]
    image: Picture | None = None
    logits: NDArray[np.float32] | None = None
    labels: NDArray[np.uint8] | None = None


def slots(nbytes: int, footprint: int = FOOTPRINT) -> int:
    """How many pictures of a ring make up the footprint, 1 to 256."""
    return min(max(1, -(-footprint // nbytes)), 256)


def preprocess_case(
    layout: Layout, size: Size, target: Size, stream: Stream, footprint: int = FOOTPRINT
) -> Case:
    """size: of the picture, target: of the network's input, both (width, height)."""
    images = [picture(layout, size, seed) for seed in range(_CONTENTS)]
    nbytes = bytes_read(layout, size, target) + 6 * target[0] * target[1]
    count = slots(nbytes, footprint)
    sources = [on_device(images[i % _CONTENTS], layout) for i in range(count)]
    outs = [cuda.device_array((3, target[1], target[0]), np.float16) for _ in sources]
    calls = [
        _bound(kernels.preprocess, image, out, MEAN, STD, stream=stream)
        for image, out in zip(sources, outs, strict=True)
    ]

    def check() -> Verdict:
        want = np.empty((3, target[1], target[0]), np.float32)
        cpu.preprocess(images[0], want, MEAN, STD)
        np.testing.assert_allclose(outs[0].copy_to_host(), want, rtol=2**-11, atol=4e-5)
        return {}

    return Case(f"preprocess {layout}", nbytes, calls, check, images[0])


def postprocess_case(
    kind: str, size: Size, target: Size, stream: Stream, footprint: int = FOOTPRINT
) -> Case:
    """kind: "scene" or "noise". size: of the labels; target: of the network's input, of which the
    logits are a quarter in width and height."""
    shape = len(CAMVID), target[1] // STRIDE, target[0] // STRIDE
    contents = [_logits(kind, shape, seed) for seed in range(_CONTENTS)]
    nbytes = contents[0].nbytes + size[0] * size[1]
    count = slots(nbytes, footprint)
    logits = [cuda.to_device(contents[i % _CONTENTS]) for i in range(count)]
    labels = [cuda.device_array((size[1], size[0]), np.uint8) for _ in logits]
    valid = cuda.device_array(1, np.int32)
    calls = [
        _bound(kernels.postprocess, values, ids, stream=stream, valid=valid)
        for values, ids in zip(logits, labels, strict=True)
    ]

    def check() -> Verdict:
        assert valid.copy_to_host()[0] == 1, "finite logits are said to be invalid"
        return {"labels_differ": differing(contents[0], labels[0].copy_to_host())}

    return Case(f"postprocess {kind}", nbytes, calls, check, logits=contents[0])


def blend_case(
    layout: Layout, size: Size, target: Size, stream: Stream, footprint: int = FOOTPRINT
) -> Case:
    """size: of the picture; target: of the input of the network whose labels are drawn."""
    image = picture(layout, size, 0)
    shape = len(CAMVID), target[1] // STRIDE, target[0] // STRIDE
    ids = np.empty((size[1], size[0]), np.uint8)
    cpu.postprocess(_logits("scene", shape, 0), ids)
    table = blend_table(CAMVID, alpha=ALPHA, like=image)
    nbytes = 2 * _picture_bytes(image) + ids.nbytes
    count = slots(nbytes, footprint)
    sources, outs = ([on_device(image, layout) for _ in range(count)] for _ in range(2))
    labels = [cuda.to_device(ids) for _ in range(count)]
    calls = [
        _bound(kernels.blend, source, drawn, table, out, stream=stream)
        for source, drawn, out in zip(sources, labels, outs, strict=True)
    ]

    def check() -> Verdict:
        want = empty_like(image)
        cpu.blend(image, ids, table, want)
        for got, expected in zip(_planes(to_host(outs[0])), _planes(want), strict=True):
            np.testing.assert_array_equal(got, expected)
        return {}

    return Case(f"blend {layout}", nbytes, calls, check, image, labels=ids)


def differing(logits: NDArray[np.float32], got: NDArray[np.uint8]) -> int:
    """How many labels are not those of the CPU's kernel: of pixels where float32 rounding makes
    two classes equal. Raises AssertionError for any other."""
    want = np.empty(got.shape, np.uint8)
    assert cpu.postprocess(logits, want)
    wrong = got != want
    if not wrong.any():
        return 0
    dense = reference.resize(logits, *got.shape)
    chosen, expected = (
        np.take_along_axis(dense, ids[None].astype(np.intp), axis=0) for ids in (got, want)
    )
    np.testing.assert_array_equal(chosen, expected)
    return int(wrong.sum())


def bytes_read(layout: Layout, size: Size, target: Size) -> int:
    """Bytes of a picture that resizing it has to read: whole sectors of the rows it touches."""
    half = (size[0] + 1) // 2, (size[1] + 1) // 2
    planes: dict[str, list[tuple[Size, int]]] = {
        "bgr": [(size, 3)], "nv12": [(size, 1), (half, 2)], "i420": [(size, 1), *2 * [(half, 1)]]
    }  # fmt: skip
    return sum(_plane_bytes(plane, channels, target) for plane, channels in planes[layout])


def _plane_bytes(size: Size, channels: int, target: Size) -> int:
    rows, columns = (_touched(src, dst) for src, dst in zip(size[::-1], target[::-1], strict=True))
    ends = np.union1d(columns * channels // SECTOR, (columns * channels + channels - 1) // SECTOR)
    return len(rows) * min(len(ends) * SECTOR, size[0] * channels)


def _touched(src: int, dst: int) -> NDArray[np.int64]:
    """Samples of an axis that resizing it reads."""
    low = axis(src, dst).low.astype(np.int64)
    return np.union1d(low, np.minimum(low + 1, src - 1))


def picture(layout: Layout, size: Size, seed: int) -> Picture:
    """A picture of (width, height) on the host, of the kind that a layout holds."""
    make = scenes.picture if layout == "bgr" else scenes.planes
    image: Picture = make(size[1], size[0], seed=seed)
    return image


def on_device(image: Picture, layout: Layout) -> DevicePicture:
    """A copy on the device in a layout of 8 bits, without padding."""
    if not isinstance(image, Yuv420):
        return DevicePicture((cuda.to_device(image),), "bgr")
    chroma = [image.u, image.v] if layout == "i420" else [np.stack([image.u, image.v], axis=-1)]
    planes = tuple(cuda.to_device(np.ascontiguousarray(plane)) for plane in (image.y, *chroma))
    return DevicePicture(planes, layout, image.matrix, image.full_range)


def _logits(kind: str, shape: tuple[int, int, int], seed: int) -> NDArray[np.float32]:
    if kind == "scene":
        return scenes.logits(*shape, seed=seed)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _planes(image: Picture) -> tuple[NDArray[np.uint8], ...]:
    return (image.y, image.u, image.v) if isinstance(image, Yuv420) else (image,)


def _picture_bytes(image: Picture) -> int:
    return sum(plane.nbytes for plane in _planes(image))


def _bound(function: Callable[..., object], *arguments: Any, **options: Any) -> Call:
    return lambda: function(*arguments, **options)
