"""Blends and sprites against the reference. Run by test_cuda_simulated.py, and on a GPU."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from cuda_cases import DeviceCase, Padded, watch_launches
from kernel_cases import blank, random_bytes, random_planes
from numba import cuda
from numpy.typing import NDArray

from rtseg.classes import CAMVID
from rtseg.frame import DevicePicture, Layout, Picture, Yuv420
from rtseg.kernels import _cuda_tables, reference
from rtseg.kernels import cuda as kernels
from rtseg.kernels._cuda_tables import uploads
from rtseg.kernels.tables import blend_table

LAYOUTS: tuple[Layout, ...] = ("nv12", "i420", "bgr")


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    watch_launches(monkeypatch)


def picture(layout: Layout, height: int, width: int) -> Picture:
    rng = np.random.default_rng(height * width)
    if layout == "bgr":
        return random_bytes(rng, height, width, 3)
    return random_planes(rng, height, width, "bt601", True)


def label_map(height: int, width: int) -> NDArray[np.uint8]:
    """Whole words of one class, words of several, and labels that are no class."""
    labels = np.full((height, width), 3, np.uint8)
    labels[height // 2 :] = np.random.default_rng(1).integers(0, 11, (height - height // 2, width))
    labels[: height // 3, : width // 2] = 255
    labels[0, 0] = 200
    return labels


# Whole words; whole words but an odd height, or a row distance that is none; odd; tiny.
@pytest.mark.parametrize(
    ("size", "extra"),
    [
        ((32, 48), 0), ((16, 24), 4), ((16, 24), 1), ((15, 24), 0), ((16, 20), 0), ((17, 23), 0),
        ((1, 1), 0), ((2, 3), 2), ((1, 8), 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("layout", LAYOUTS)
def test_equals_the_reference(layout: Layout, size: tuple[int, int], extra: int) -> None:
    image, labels = picture(layout, *size), label_map(*size)
    table = blend_table(CAMVID, alpha=0.6, like=image)
    want = blank(image)
    reference.blend(image, labels, table, want)
    source, stream = DeviceCase(image, layout, extra), cuda.stream()
    out, ids = DeviceCase(blank(image), layout, extra), Padded(labels, extra)
    kernels.blend(source.picture, ids.array, table, out.picture, stream=stream)
    stream.synchronize()
    out.assert_equals(want)
    source.assert_equals(image)
    kernels.blend(source.picture, ids.array, table, source.picture, stream=stream)
    stream.synchronize()
    source.assert_equals(want)


@pytest.mark.parametrize("alpha", [0, 0.3, 1])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_opacity_and_hidden_classes(layout: Layout, alpha: float) -> None:
    image, labels = picture(layout, 8, 16), label_map(8, 16)
    table = blend_table(CAMVID, alpha=alpha, like=image, visible=[3, 5])
    want, out, stream = blank(image), DeviceCase(blank(image), layout), cuda.stream()
    reference.blend(image, labels, table, want)
    source, ids = DeviceCase(image, layout), cuda.to_device(labels)
    kernels.blend(source.picture, ids, table, out.picture, stream=stream)
    stream.synchronize()
    out.assert_equals(want)


def test_a_table_is_uploaded_once() -> None:
    image = picture("nv12", 8, 16)
    table = blend_table(CAMVID, alpha=0.5, like=image)
    case, ids, stream = DeviceCase(image, "nv12"), cuda.to_device(label_map(8, 16)), cuda.stream()
    before = len(uploads())
    for _ in range(3):
        kernels.blend(case.picture, ids, table, case.picture, stream=stream)
    assert len(uploads()) == before + 1


def test_uploads_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cuda_tables, "_MOST", 6)
    out, stream = cuda.device_array((3, 1, 1), np.float32), cuda.stream()
    for width in range(1, 9):
        image = DeviceCase(np.zeros((1, width, 3), np.uint8), "bgr").picture
        kernels.preprocess(image, out, (width, 0, 0), (1, 1, 1), stream=stream)
        assert len(uploads()) <= 6
    assert len(uploads()) == 6


class Layer(NamedTuple):
    """As `rtseg.overlay.sprites.Layer`, whose arithmetic `over` spells out here."""

    colour: NDArray[np.uint16]
    rest: NDArray[np.uint16]

    def over(self, plane: NDArray[np.uint8], x: int, y: int) -> None:
        area = plane[y : y + self.colour.shape[0], x : x + self.colour.shape[1]]
        rows, columns = area.shape[:2]
        mixed = area.astype(int) * self.rest[:rows, :columns] + self.colour[:rows, :columns]
        area[...] = mixed >> 8

    def on_device(self) -> Layer:
        return Layer(cuda.to_device(self.colour), cuda.to_device(self.rest))


def sprite(layout: Layout, height: int, width: int) -> list[Layer]:
    rng = np.random.default_rng(0)
    sizes: list[Any] = [(height, width, 3)]
    if layout != "bgr":
        sizes = [(height, width), *[(height // 2, width // 2)] * 2]
    layers = []
    for size in sizes:
        rest = rng.integers(0, 257, (*size[:2], 1) if layout == "bgr" else size)
        rest.flat[:2] = 0, 256
        colour = rng.integers(0, 256, size) * (256 - rest) + 127
        layers.append(Layer(colour.astype(np.uint16), rest.astype(np.uint16)))
    return layers


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("size", "at", "extra"),
    [
        ((20, 40), (4, 2), 0), ((20, 40), (30, 14), 3), ((13, 23), (18, 10), 0),
        ((13, 23), (22, 12), 1), ((6, 8), (0, 0), 0), ((6, 8), (8, 0), 0), ((6, 8), (0, 40), 0),
    ],
)  # fmt: skip
def test_sprites(layout: Layout, size: tuple[int, int], at: tuple[int, int], extra: int) -> None:
    image, layers, (x, y) = picture(layout, *size), sprite(layout, 8, 12), at
    case, stream = DeviceCase(image, layout, extra), cuda.stream()
    kernels.lay(case.picture, [layer.on_device() for layer in layers], x, y, stream=stream)
    stream.synchronize()
    planes = [image.y, image.u, image.v] if isinstance(image, Yuv420) else [image]
    for i, (layer, plane) in enumerate(zip(layers, planes, strict=True)):
        layer.over(plane, x if i == 0 else x // 2, y if i == 0 else y // 2)
    case.assert_equals(image)


def test_refuses_sprites_that_do_not_fit() -> None:
    out, stream = DeviceCase(picture("nv12", 8, 8), "nv12").picture, cuda.stream()
    layers = [layer.on_device() for layer in sprite("nv12", 4, 4)]
    for x, y in ((1, 0), (0, 3), (-2, 0)):
        with pytest.raises(ValueError, match="even"):
            kernels.lay(out, layers, x, y, stream=stream)
    with pytest.raises(ValueError, match="expected 3"):
        kernels.lay(out, layers[:1], 0, 0, stream=stream)
    with pytest.raises(ValueError, match="half of it"):
        kernels.lay(out, [layers[0]] * 3, 0, 0, stream=stream)
    bytes_ = Layer(*(cuda.to_device(np.zeros((4, 4), np.uint8)) for _ in range(2)))
    with pytest.raises(ValueError, match="uint16"):
        kernels.lay(out, [bytes_, *layers[1:]], 0, 0, stream=stream)


def test_refuses_pictures_that_do_not_fit() -> None:
    image, labels = picture("nv12", 8, 8), cuda.to_device(np.zeros((8, 8), np.uint8))
    table, stream = blend_table(CAMVID, alpha=0.5, like=image), cuda.stream()
    nv12 = DeviceCase(image, "nv12").picture
    cases: list[tuple[DevicePicture, Any, str]] = [
        (DeviceCase(image, "i420").picture, labels, "colour space"),
        (DeviceCase(picture("nv12", 8, 10), "nv12").picture, labels, "one size"),
        (DevicePicture(nv12.planes, "nv12", "bt601", False), labels, "colour space"),
        (nv12, labels[1:], "one size"),
        (nv12, cuda.to_device(np.zeros((8, 8), np.int32)), "labels"),
    ]
    for out, ids, says in cases:
        with pytest.raises(ValueError, match=says):
            kernels.blend(nv12, ids, table, out, stream=stream)
    ten = DeviceCase(image, "p010").picture
    with pytest.raises(ValueError, match="p010"):
        kernels.blend(ten, labels, table, ten, stream=stream)
    with pytest.raises(ValueError, match="p010"):
        kernels.lay(ten, [layer.on_device() for layer in sprite("nv12", 4, 4)], 0, 0, stream=stream)


def test_everything_is_compiled_by_running_it() -> None:
    kernels.compile_all()
    kernels.compile_all(cuda.stream())
