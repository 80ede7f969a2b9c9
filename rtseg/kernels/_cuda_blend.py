"""Class colours over a picture on the GPU, in its own colour space, bit by bit as on the CPU.

A byte takes three integer operations, so memory decides: four bytes are loaded, blended and stored
as one word. Where rows are whole words, a thread draws 4x2 pixels of nv12 (8x2 of i420, 4 of bgr),
the smallest piece that is words in every plane; any other picture goes sample by sample.

Two bytes of a word are blended by one multiplication: source * keep + colour is at most 65408 and
does not carry into the byte pair above.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtseg.device.arrays import DeviceArray, Stream
from rtseg.frame import DevicePicture
from rtseg.kernels._cuda_blend_narrow import blend_bgr_narrow, blend_planes_narrow
from rtseg.kernels._cuda_jit import U, cuda, kernel, launch, part
from rtseg.kernels._cuda_tables import blending, upload
from rtseg.kernels._cuda_views import Plane, check_blend, plane
from rtseg.kernels.tables import BlendTable

_BLOCK = 32, 8
"""Pieces along a row, and rows of them."""

_EVEN, _ODD = np.uint32(0x00FF00FF), np.uint32(0xFF00FF00)
"""Every second byte of a word, from the lowest and from the second on."""

_BYTE, _TWICE, _EVERY = np.uint32(255), np.uint32(0x00010001), np.uint32(0x01010101)
_1, _4, _8, _16 = np.uint32(1), np.uint32(4), np.uint32(8), np.uint32(16)


def blend(
    image: DevicePicture,
    labels: DeviceArray,
    table: BlendTable,
    out: DevicePicture,
    *,
    stream: Stream,
) -> None:
    """Draw the labels' colours over `image` into `out`, as `rtseg.kernels.cpu.blend` does.

    image, out: of one size, of one layout of nv12, i420 and bgr, of one matrix and range; `out` may
    be `image`, other overlaps are not supported. labels: (H, W) uint8. table: made for pictures
    like these.

    Nothing is waited for. The first call with a table uploads it. Raises ValueError for what does
    not fit, EngineError.
    """
    check_blend(image, labels, out)
    ids, colours = plane("labels", labels), upload(blending, table, stream=stream)
    sources = [plane(f"plane {i} of {image.layout}", p) for i, p in enumerate(image.planes)]
    results = [plane(f"output plane {i}", p) for i, p in enumerate(out.planes)]
    height, width = image.height, image.width
    if not _whole_words(image, (ids, *sources, *results)):
        narrow = blend_bgr_narrow if image.layout == "bgr" else blend_planes_narrow
        narrow(ids, colours, sources, results, height, width, stream)
        return
    compiled, across, down = _WIDE[image.layout]
    columns, rows = width // across, height // down
    words = [x for p in (ids, *sources, *results) for x in (p.words, p.word_step)]
    grid = -(-columns // _BLOCK[0]), -(-rows // _BLOCK[1])
    launch(compiled, grid, _BLOCK, stream, colours, *words, rows, columns)


def _whole_words(image: DevicePicture, planes: tuple[Plane, ...]) -> bool:
    _, across, down = _WIDE[image.layout]
    fits = image.width % across == 0 and image.height % down == 0
    return fits and all(p.aligned for p in planes)


@part
def _mix(word: Any, keep: Any, even: Any, odd: Any) -> Any:
    """Blend four bytes with one opacity. even, odd: what is added to bytes 0 and 2, and 1 and 3."""
    lower = np.uint32(np.uint32(word & _EVEN) * keep + even)
    upper = np.uint32(np.uint32((word >> _8) & _EVEN) * keep + odd)
    return np.uint32(((lower >> _8) & _EVEN) | (upper & _ODD))


@part
def _mix_byte(value: Any, keep: Any, colour: Any) -> Any:
    return np.uint32(np.uint32(value * keep + colour) >> _8)


@part
def _byte(word: Any, shift: Any) -> Any:
    return np.uint32((word >> shift) & _BYTE)


@part
def _four_by_two(labels: Any, below: Any, luma: Any, luma_below: Any, chroma: Any, t: Any) -> Any:
    """Blend 4x2 pixels: two words of labels, two of luma, and u v u v. t: the table."""
    label = np.uint32(labels & _BYTE)
    if labels == below and labels == np.uint32(label * _EVERY):
        k = np.uint32(label * _4)
        keep, y = t[U(k)], np.uint32(t[U(k + 1)] * _TWICE)
        u, v = np.uint32(t[U(k + 2)] * _TWICE), np.uint32(t[U(k + 3)] * _TWICE)
        one, two = _mix(luma, keep, y, y), _mix(luma_below, keep, y, y)
        return one, two, _mix(chroma, keep, u, v)
    one, two, three = np.uint32(0), np.uint32(0), np.uint32(0)
    for pair in range(2):
        at = np.uint32(16 * pair)
        u, v = _byte(chroma, at), _byte(chroma, np.uint32(at + _8))
        blue, red = np.uint32(2), np.uint32(2)  # halves are rounded up
        for i in range(2):
            shift = np.uint32(at + np.uint32(8 * i))
            k = np.uint32(_byte(labels, shift) * _4)
            one = np.uint32(one | (_mix_byte(_byte(luma, shift), t[U(k)], t[U(k + 1)]) << shift))
            blue = np.uint32(blue + _mix_byte(u, t[U(k)], t[U(k + 2)]))
            red = np.uint32(red + _mix_byte(v, t[U(k)], t[U(k + 3)]))
            k = np.uint32(_byte(below, shift) * _4)
            lower = _mix_byte(_byte(luma_below, shift), t[U(k)], t[U(k + 1)])
            two = np.uint32(two | (lower << shift))
            blue = np.uint32(blue + _mix_byte(u, t[U(k)], t[U(k + 2)]))
            red = np.uint32(red + _mix_byte(v, t[U(k)], t[U(k + 3)]))
        both = np.uint32((blue >> np.uint32(2)) | ((red >> np.uint32(2)) << _8))
        three = np.uint32(three | (both << at))
    return one, two, three


@kernel("void(uint32[::1]" + ", uint32[::1], int64" * 5 + ", int64, int64)")
def _blend_nv12(
    table: Any, labels: Any, labels_step: int,
    luma: Any, luma_step: int, chroma: Any, chroma_step: int,
    out: Any, out_step: int, out_chroma: Any, out_chroma_step: int,
    rows: int, columns: int,
) -> None:  # fmt: skip
    i, row = cuda.grid(2)
    if i >= columns or row >= rows:
        return
    at, upper = 2 * row * labels_step + i, 2 * row * luma_step + i
    one, two, three = _four_by_two(
        labels[U(at)], labels[U(at + labels_step)],
        luma[U(upper)], luma[U(upper + luma_step)], chroma[U(row * chroma_step + i)], table,
    )  # fmt: skip
    to = 2 * row * out_step + i
    out[U(to)], out[U(to + out_step)] = one, two
    out_chroma[U(row * out_chroma_step + i)] = three


@part
def _interleaved(u: Any, v: Any, at: Any) -> Any:
    """u v u v of the two samples of each from bit `at` on."""
    a, b = np.uint32(u >> at), np.uint32(v >> at)
    first = np.uint32((a & _BYTE) | ((b & _BYTE) << _8))
    second = np.uint32(((a >> _8) & _BYTE) | (((b >> _8) & _BYTE) << _8))
    return np.uint32(first | (second << _16))


@part
def _gathered(one: Any, two: Any, at: Any) -> Any:
    """The four samples of one plane from two words of u v u v."""
    a, b = np.uint32((one >> at) & _EVEN), np.uint32((two >> at) & _EVEN)
    low, high = np.uint32((a | (a >> _8)) & 0xFFFF), np.uint32((b | (b >> _8)) & 0xFFFF)
    return np.uint32(low | (high << _16))


@kernel("void(uint32[::1]" + ", uint32[::1], int64" * 7 + ", int64, int64)")
def _blend_i420(
    table: Any, labels: Any, labels_step: int,
    luma: Any, luma_step: int, blue: Any, blue_step: int, red: Any, red_step: int,
    out: Any, out_step: int, out_blue: Any, out_blue_step: int, out_red: Any, out_red_step: int,
    rows: int, columns: int,
) -> None:  # fmt: skip
    i, row = cuda.grid(2)
    if i >= columns or row >= rows:
        return
    u, v = blue[U(row * blue_step + i)], red[U(row * red_step + i)]
    mixed = cuda.local.array(2, np.uint32)
    for half in range(2):
        at = 2 * row * labels_step + 2 * i + half
        upper = 2 * row * luma_step + 2 * i + half
        one, two, mixed[half] = _four_by_two(
            labels[U(at)], labels[U(at + labels_step)],
            luma[U(upper)], luma[U(upper + luma_step)],
            _interleaved(u, v, np.uint32(16 * half)), table,
        )  # fmt: skip
        to = 2 * row * out_step + 2 * i + half
        out[U(to)], out[U(to + out_step)] = one, two
    out_blue[U(row * out_blue_step + i)] = _gathered(mixed[0], mixed[1], np.uint32(0))
    out_red[U(row * out_red_step + i)] = _gathered(mixed[0], mixed[1], _8)


@kernel("void(uint32[::1]" + ", uint32[::1], int64" * 3 + ", int64, int64)")
def _blend_bgr(
    table: Any, labels: Any, labels_step: int, image: Any, step: int, out: Any, out_step: int,
    rows: int, columns: int,
) -> None:  # fmt: skip
    i, row = cuda.grid(2)
    if i >= columns or row >= rows:
        return
    ids, at, to = labels[U(row * labels_step + i)], row * step + 3 * i, row * out_step + 3 * i
    label = np.uint32(ids & _BYTE)
    if ids == np.uint32(label * _EVERY):
        k = np.uint32(label * _4)
        keep, b, g, r = table[U(k)], table[U(k + 1)], table[U(k + 2)], table[U(k + 3)]
        # Bytes b g r b, g r b g, r b g r.
        gb = np.uint32(g | (b << _16))
        out[U(to)] = _mix(image[U(at)], keep, np.uint32(b | (r << _16)), gb)
        out[U(to + 1)] = _mix(image[U(at + 1)], keep, gb, np.uint32(r | (g << _16)))
        out[U(to + 2)] = _mix(
            image[U(at + 2)], keep, np.uint32(r | (g << _16)), np.uint32(b | (r << _16))
        )
        return
    for word in range(3):
        source, mixed = image[U(at + word)], np.uint32(0)
        for j in range(4):
            pixel, channel = (4 * word + j) // 3, (4 * word + j) % 3
            shift = np.uint32(8 * j)
            k = np.uint32(_byte(ids, np.uint32(8 * pixel)) * _4)
            value = _mix_byte(_byte(source, shift), table[U(k)], table[U(k + 1 + channel)])
            mixed = np.uint32(mixed | (value << shift))
        out[U(to + word)] = mixed


_WIDE: dict[str, tuple[Any, int, int]] = {
    "nv12": (_blend_nv12, 4, 2),
    "i420": (_blend_i420, 8, 2),
    "bgr": (_blend_bgr, 4, 1),
}
"""By layout: the kernel for words, and the pixels that a thread draws across and down."""
