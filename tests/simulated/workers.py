"""The worker on the device gives what the worker on the host gives."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda
from stand_in import DeviceStandIn, HostStandIn, bgr, in_layout, lost_device, on_device, planes

from rtseg.device.memory import Memory
from rtseg.errors import EngineError
from rtseg.frame import DevicePicture, Frame, Yuv420, empty_like
from rtseg.overlay import Overlay
from rtseg.overlay.painter import OverlayPainter
from rtseg.workers.device import DeviceWorker
from rtseg.workers.host import HostWorker

SIZE = (48, 32)


@pytest.fixture
def both(model):
    """(host, device) workers, and what counts the device's memory."""
    memory = Memory()
    contract = model.contract
    return (
        HostWorker(model, HostStandIn(contract, SIZE)),
        DeviceWorker(model, DeviceStandIn(contract, SIZE), memory),
        memory,
    )


PICTURES = {"bgr": bgr(*SIZE), "planes": planes(*SIZE), "odd": planes(47, 31)}


@pytest.mark.parametrize("name", PICTURES)
def test_labels_are_those_of_the_host(both, name) -> None:
    host, device, _ = both
    frame = Frame(PICTURES[name], index=7, pts=1234)
    want, got = host.segment(frame), device.segment(frame)
    if name != "odd":  # resized to the network's size: greys between those of classes
        assert len(np.unique(want.labels)) > 5
        np.testing.assert_array_equal(got.labels, want.labels)
    assert (got.labels == want.labels).mean() > 0.98
    assert got.valid and (got.index, got.pts) == (7, 1234)
    assert list(got.timings) == ["upload", "preprocess", "inference", "postprocess", "download"]


@pytest.mark.parametrize("name", ["bgr", "planes"])
def test_a_frame_that_is_on_the_device_is_not_uploaded(both, name) -> None:
    host, device, memory = both
    picture = PICTURES[name]
    image = on_device(picture, memory)
    got = device.segment(Frame(image))
    np.testing.assert_array_equal(got.labels, host.segment(Frame(picture)).labels)
    assert "frame" not in vars(device._buffers), "a buffer for an upload was made"


def test_given_labels_are_written(both) -> None:
    _, device, _ = both
    labels = np.full((32, 48), 99, np.uint8)
    assert device.segment(Frame(bgr(*SIZE)), labels).labels is labels
    assert labels.max() < 11


@pytest.mark.parametrize("name", PICTURES)
def test_the_painted_picture_is_that_of_the_host(both, name) -> None:
    host, device, _ = both
    frame = Frame(PICTURES[name])
    painter = OverlayPainter(Overlay(host._model.classes), lambda f: empty_like(f.image))
    segmentation, picture = device.render(frame, painter)
    assert "overlay" in segmentation.timings
    # The host's brush over the device's labels: what differs is the brush alone.
    want = painter(frame, segmentation)
    for plane, expected in zip(parts(picture), parts(want), strict=True):
        np.testing.assert_array_equal(plane, expected)


def test_any_other_painter_gets_a_picture_on_the_host(both) -> None:
    _, device, memory = both
    image = on_device(planes(*SIZE), memory)

    def paint(frame, segmentation):
        assert isinstance(frame.image, Yuv420)
        return frame.image

    segmentation, picture = device.render(Frame(image), paint)
    assert "overlay" in segmentation.timings
    np.testing.assert_array_equal(picture.y, planes(*SIZE).y)


def test_a_picture_may_stay_on_the_device(both) -> None:
    host, device, memory = both
    frame = Frame(planes(*SIZE))
    out = on_device(planes(*SIZE), memory)
    painter = OverlayPainter(Overlay(host._model.classes), lambda _: out)
    _, picture = device.render(frame, painter)
    assert isinstance(picture, DevicePicture) and picture is out
    on_host = OverlayPainter(painter.overlay, lambda f: empty_like(f.image))
    want = host.render(frame, on_host)[1]
    np.testing.assert_array_equal(picture.planes[0].copy_to_host(), want.y)
    assert "painted" not in vars(device._buffers), "a buffer for a download was made"


@pytest.mark.parametrize("layout", ["i420", "p010"])
def test_other_layouts_are_painted_on_the_host(both, layout) -> None:
    host, device, _ = both
    picture = planes(*SIZE)
    image = in_layout(picture, layout)
    canvases = []

    def canvas(frame):
        canvases.append(frame.image)
        return empty_like(frame.image)

    painter = OverlayPainter(Overlay(host._model.classes), canvas)
    segmentation, painted = device.render(Frame(image), painter)
    assert canvases == [image], "a canvas for a picture on the host may be on the GPU"
    assert {"download", "overlay"} <= set(segmentation.timings)
    want = host.render(Frame(picture), painter)[1]
    for plane, expected in zip(parts(painted), parts(want), strict=True):
        np.testing.assert_array_equal(plane, expected)


def test_cuda_is_started_in_whatever_thread_calls(both, monkeypatch) -> None:
    _, device, _ = both
    painter = OverlayPainter(Overlay(device._model.classes), lambda f: empty_like(f.image))
    started = []
    monkeypatch.setattr(cuda, "current_context", lambda: started.append(None))
    device.segment(Frame(bgr(*SIZE)))
    assert len(started) == 1
    device.render(Frame(bgr(*SIZE)), painter)
    assert len(started) == 2


def test_not_finite_logits_give_no_answer(model) -> None:
    engine = DeviceStandIn(model.contract, SIZE, poison=True)
    worker = DeviceWorker(model, engine, Memory())
    painter = OverlayPainter(Overlay(model.classes), lambda f: empty_like(f.image))
    segmentation, picture = worker.render(Frame(bgr(*SIZE)), painter)
    assert not segmentation.valid
    assert (segmentation.labels == 255).all()
    np.testing.assert_array_equal(picture, bgr(*SIZE))


def test_memory_does_not_grow(both) -> None:
    host, device, memory = both
    painter = OverlayPainter(Overlay(host._model.classes), lambda f: empty_like(f.image))
    seen = []
    for shift in range(4):
        device.render(Frame(bgr(*SIZE, shift)), painter)
        seen.append((memory.device_bytes, memory.host_bytes))
    # Frame, painted picture and labels; the switch `valid`.
    pixels = 48 * 32
    assert seen == [(7 * pixels + 4, 7 * pixels + 4)] * 4


def test_frames_of_another_size_take_the_place_of_those_before(both) -> None:
    _, device, memory = both
    for size in (SIZE, (16, 16), SIZE):
        device.segment(Frame(bgr(*size)))
    assert memory.device_bytes == 4 * 48 * 32 + 4


def test_a_lost_device_is_an_engine_error(model) -> None:
    worker = DeviceWorker(model, DeviceStandIn(model.contract, SIZE, fail_at=0), Memory())
    with pytest.raises(EngineError, match=r"the GPU failed \(segmenting a frame\).*LAUNCH_FAILED"):
        worker.segment(Frame(bgr(*SIZE)))


def test_no_memory_says_what_to_lower(model, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        error = type(lost_device())
        raise error(2, "Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY")

    worker = DeviceWorker(model, DeviceStandIn(model.contract, SIZE), Memory())
    monkeypatch.setattr(cuda, "device_array", full)
    with pytest.raises(EngineError, match=r"memory is full.*--size.*streams"):
        worker.segment(Frame(bgr(*SIZE)))


def parts(picture) -> tuple[np.ndarray, ...]:
    return (picture.y, picture.u, picture.v) if isinstance(picture, Yuv420) else (picture,)
