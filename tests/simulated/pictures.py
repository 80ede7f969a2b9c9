"""Pictures on the device: surfaces and rings, copies in and out, sprites, frames for encoders."""

from __future__ import annotations

import gc
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from numba import cuda
from stand_in import bgr, greys, on_device, planes

from rtseg.classes import CAMVID
from rtseg.device import memory as device_memory
from rtseg.device.memory import Form, Memory, Ring, Surface
from rtseg.device.transfer import to_host
from rtseg.errors import DecodeError, EngineError
from rtseg.frame import DevicePicture, Frame, Yuv420, empty_like
from rtseg.overlay import Overlay
from rtseg.overlay.device import DeviceBrush
from rtseg.segmentation import Segmentation
from rtseg.video import gpu
from rtseg.video.nvdec import NvdecReader
from rtseg.video.nvenc import FrameMaker


def noise(shape: tuple[int, ...], kind: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(5).integers(0, np.iinfo(kind).max + 1, shape, kind)


def noisy_planes(width: int, height: int) -> Yuv420:
    half = (height + 1) // 2, (width + 1) // 2
    return Yuv420(noise((height, width)), noise(half), noise(half) ^ 255)


def equal(one: Yuv420, two: Yuv420) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in "yuv")


def decoded(width: int, height: int, kind: type, pad: int = 16) -> tuple[object, object]:
    """Planes as NVDEC gives them: rows padded, content behind the rows that is none."""
    luma = noise((height, width + pad), kind)
    chroma = noise(((height + 1) // 2, (width + 1) // 2 + pad, 2), kind)
    return (
        cuda.to_device(luma)[:, :width],
        cuda.to_device(chroma)[:, : (width + 1) // 2],
    )


# Memory


@pytest.mark.parametrize("size", [(48, 32), (47, 31), (64, 2), (1, 1)])
def test_a_picture_comes_back_as_it_went(size) -> None:
    picture = noisy_planes(*size)
    image = on_device(picture, Memory())
    assert image.planes[0].shape == picture.y.shape
    back = to_host(image)
    assert equal(back, picture)
    assert (back.matrix, back.full_range) == (picture.matrix, picture.full_range)
    np.testing.assert_array_equal(to_host(on_device(bgr(*size), Memory())), bgr(*size))


def test_ten_bits_and_three_planes_come_back() -> None:
    luma, chroma = decoded(20, 10, np.uint16)
    back = to_host(DevicePicture((luma, chroma), "p010"))
    words = luma.copy_to_host().astype(int)
    np.testing.assert_array_equal(back.y, np.minimum((words + 128) >> 8, 255))
    picture = noisy_planes(20, 10)
    three = tuple(cuda.to_device(getattr(picture, name)) for name in "yuv")
    assert equal(to_host(DevicePicture(three, "i420")), picture)


def test_a_segmentation_draws_on_a_frame_that_is_on_the_device() -> None:
    picture = noisy_planes(24, 16)
    labels = np.zeros((16, 24), np.uint8)
    answer = Segmentation(labels, CAMVID)
    there = answer.overlay(Frame(on_device(picture, Memory())))
    np.testing.assert_array_equal(there, answer.overlay(Frame(picture)))


def test_chroma_follows_luma_with_one_row_distance() -> None:
    """As NVENC wants it."""
    surface = Surface.on_device(Form("nv12", 20, 10), Memory())
    luma, chroma = surface.planes
    assert luma.strides[0] == chroma.strides[0] == 64
    start = [plane.__array_interface__["data"][0] for plane in (luma, chroma)]
    assert start[1] - start[0] == 10 * 64


def test_a_ring_lends_what_comes_back(monkeypatch) -> None:
    memory = Memory()
    ring = Ring(Form("nv12", 16, 16), 2, memory)
    taken = memory.device_bytes
    assert taken == 2 * 24 * 64
    first, second = ring.lend("bt709", False), ring.lend("bt601", True)
    assert (second.matrix, second.full_range) == ("bt601", True)
    assert first.planes[0] is not second.planes[0]
    monkeypatch.setattr(device_memory, "_PATIENCE", 0.05)
    with pytest.raises(EngineError, match="all 2 pictures on the GPU are held"):
        ring.lend("bt709", False)
    plane = first.planes[0]
    del first
    gc.collect()
    assert ring.lend("bt709", False).planes[0] is plane
    assert memory.device_bytes == taken


def test_a_ring_waits_for_what_is_still_held() -> None:
    ring = Ring(Form("bgr", 4, 4), 1, Memory())
    held = [ring.lend("bt709", True)]

    def let_go() -> None:
        time.sleep(0.1)
        held.clear()

    thread = threading.Thread(target=let_go)
    thread.start()
    assert ring.lend("bt709", True).layout == "bgr"
    thread.join()


def test_a_surface_has_one_event_for_all_that_fill_it() -> None:
    ring = Ring(Form("bgr", 4, 4), 1, Memory())
    ready = []
    for on_stream in (True, False, True):
        picture = ring.lend("bt709", True, on_stream=on_stream)
        ready.append(picture.ready)
        del picture
        gc.collect()
    assert ready[0] is ready[2] is not None
    assert ready[1] is None


def test_a_download_starts_cuda_in_its_thread(monkeypatch) -> None:
    image = on_device(planes(16, 8), Memory())
    started = []
    monkeypatch.setattr(cuda, "current_context", lambda: started.append(None))
    to_host(planes(16, 8))
    assert not started
    to_host(image)
    assert started


def test_memory_that_is_let_go_is_not_counted() -> None:
    memory = Memory()
    ring = Ring(Form("bgr", 4, 4), 3, memory)
    assert (memory.device_bytes, memory.host_bytes) == (3 * 48, 0)
    del ring
    gc.collect()
    assert (memory.device_bytes, memory.device_peak) == (0, 3 * 48)


# Decoders


@pytest.mark.parametrize("size", [(40, 24), (33, 17)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_decoded_planes_are_copied(size, kind) -> None:
    source = decoded(*size, kind)
    reader = NvdecReader(None, Memory(), 1)
    layout = "nv12" if kind is np.uint8 else "p010"
    want = to_host(DevicePicture(source, layout))
    assert equal(to_host(reader.take_over(source, "bt709", False, owner=None)), want)


def test_ffmpeg_is_given_the_context_that_is_made_current(monkeypatch) -> None:
    entered = []
    monkeypatch.setattr(cuda, "current_context", lambda: entered.append(None))
    hwaccel = NvdecReader(None, Memory(), 1).hwaccel
    assert entered
    assert hwaccel.options == gpu.CONTEXT == {"primary_ctx": "0", "current_ctx": "1"}
    assert hwaccel.is_hw_owned and hwaccel.allow_software_fallback


def test_a_pixel_format_that_cannot_stay_is_named() -> None:
    class Plane:
        def __dlpack__(self) -> None:
            raise NotImplementedError("unsupported sw_format for DLPack export")

    cuda_format, changed = SimpleNamespace(name="cuda"), SimpleNamespace(name="yuv444p")
    frame = SimpleNamespace(format=cuda_format, sw_format=changed, planes=(Plane(),))
    with pytest.raises(DecodeError, match="changes to yuv444p, which"):
        NvdecReader(None, Memory(), 1).read(frame)


def test_frames_of_the_decoder_are_held_until_the_next() -> None:
    class Owner:
        alive = 0

        def __init__(self) -> None:
            Owner.alive += 1

        def __del__(self) -> None:
            Owner.alive -= 1

    memory = Memory()
    reader = NvdecReader(None, memory, 3)
    for _ in range(8):
        source = decoded(16, 16, np.uint8)
        picture = reader.take_over(source, "bt2020", True, owner=Owner())
        assert Owner.alive == 1
        assert picture.ready is not None
        assert (picture.matrix, picture.full_range) == ("bt2020", True)
        assert equal(to_host(picture), to_host(DevicePicture(source, "nv12")))
    assert memory.device_bytes == 3 * 24 * 64
    reader.close()
    assert Owner.alive == 0


def test_a_new_size_gets_a_new_ring() -> None:
    memory = Memory()
    reader = NvdecReader("bt601", memory, 2)
    for size in ((16, 16), (16, 16), (64, 32)):
        picture = reader.take_over(decoded(*size, np.uint8), "bt601", False, owner=None)
        assert (picture.width, picture.height) == size
    del picture
    gc.collect()
    assert memory.device_bytes == 2 * 48 * 64


# Sprites


@pytest.mark.parametrize("kind", ["bgr", "planes"])
def test_the_legend_and_the_status_line_are_those_of_the_host(kind) -> None:
    picture = bgr(160, 152) if kind == "bgr" else planes(160, 152)
    labels = (greys(160, 152) // 25).astype(np.uint8)
    memory, stream = Memory(), cuda.stream()
    overlay = Overlay(CAMVID, visible=[0, 3, 5])
    brush = DeviceBrush(overlay, memory)
    image, out = on_device(picture, memory), on_device(picture, memory)
    want = empty_like(picture)
    taken = []
    for status in ("12 fps", "7 fps", "12 fps"):
        brush.paint(image, cuda.to_device(labels), out, status, stream=stream)
        overlay.paint(Frame(picture), Segmentation(labels, CAMVID), want, status)
        taken.append(memory.device_bytes)
        if isinstance(want, Yuv420):
            assert equal(to_host(out), want)
        else:
            np.testing.assert_array_equal(to_host(out), want)
    assert len(set(taken)) == 1, "sprites took new memory"


# Encoders


def test_an_encoder_frame_is_the_picture_itself() -> None:
    """On the simulator the memory is the host's, and PyAV makes a frame of that."""
    ring = Ring(Form("nv12", 64, 48), 1, Memory())
    picture = ring.lend("bt709", False)
    picture.planes[0][:], picture.planes[1][:] = 77, 99
    maker = FrameMaker()
    frame = maker.frame(picture)
    assert maker._context.current_ctx and not maker._context.primary_ctx
    assert (frame.width, frame.height, frame.format.name) == (64, 48, "nv12")
    assert [np.unique(np.frombuffer(p, np.uint8)).tolist() for p in frame.planes] == [[77], [99]]
    del picture
    gc.collect()
    assert ring._free.empty(), "the encoder's picture was lent again"
    del frame
    gc.collect()
    assert not ring._free.empty()
