"""From the second frame on, the device worker launches one recording."""

from __future__ import annotations

import numpy as np
import pytest
from stand_in import DeviceStandIn, HostStandIn, Recording, bgr, in_layout, on_device, planes

from rtseg.device.memory import Memory
from rtseg.errors import EngineError
from rtseg.frame import Frame, Yuv420, empty_like
from rtseg.overlay import Overlay
from rtseg.overlay.painter import OverlayPainter
from rtseg.workers.device import DeviceWorker
from rtseg.workers.host import HostWorker

SIZE = (48, 32)
STAGES = ["upload", "preprocess", "inference", "postprocess", "download"]


@pytest.fixture
def worker(model) -> DeviceWorker:
    return DeviceWorker(model, DeviceStandIn(model.contract, SIZE), Memory())


@pytest.fixture
def want(model):
    """Labels of a frame from the worker on the host."""
    host = HostWorker(model, HostStandIn(model.contract, SIZE))
    return lambda frame: host.segment(frame).labels


def launches(worker) -> list[int]:
    """Of each recording, after the one that checks it."""
    return [recording.launches - 1 for recording in worker._context.recordings]


@pytest.mark.parametrize("make", [bgr, planes])
def test_frames_after_the_first_are_launches_of_one_recording(worker, want, make) -> None:
    for index in range(4):
        frame = Frame(make(*SIZE, index), index)
        got = worker.segment(frame)
        np.testing.assert_array_equal(got.labels, want(frame))
        assert list(got.timings) == STAGES
    assert launches(worker) == [3]
    assert worker._inference.graph_refused is None


def test_frames_on_the_device_are_preprocessed_before_it(worker, want) -> None:
    """Each lies somewhere else."""
    memory = Memory()
    for index in range(3):
        frame = Frame(planes(*SIZE, index))
        there = on_device(frame.image, memory)
        got = worker.segment(Frame(there))
        np.testing.assert_array_equal(got.labels, want(frame))
        assert list(got.timings) == STAGES
    assert launches(worker) == [2]


def test_uploaded_frames_and_others_have_their_own(worker, want) -> None:
    for index in range(4):
        frame = Frame(planes(*SIZE, index))
        image = frame.image if index % 2 else in_layout(frame.image, "p010")
        got = worker.segment(Frame(image)).labels
        np.testing.assert_array_equal(got, want(frame))
    assert launches(worker) == [1, 1]


def test_another_colour_space_has_its_own(worker, want) -> None:
    first = planes(*SIZE)
    other = Yuv420(first.y // 2 + 16, first.u, first.v, "bt709", False)
    for image in (first, other, first, other):
        np.testing.assert_array_equal(worker.segment(Frame(image)).labels, want(Frame(image)))
    assert launches(worker) == [1, 1]


def test_painted_frames_are_launches_too(worker) -> None:
    painter = OverlayPainter(Overlay(worker._model.classes), lambda f: empty_like(f.image))
    for index in range(3):
        frame = Frame(planes(*SIZE, index))
        segmentation, picture = worker.render(frame, painter)
        assert list(segmentation.timings) == [*STAGES[:-1], "overlay", "download"]
        np.testing.assert_array_equal(picture.y, painter(frame, segmentation).y)
    assert launches(worker) == [2]


def test_recordings_for_frames_of_another_size_are_freed(worker, want) -> None:
    for size in (SIZE, (24, 16), SIZE):
        for index in range(2):
            worker.segment(Frame(bgr(*size, index)))
    first, second, third = worker._context.recordings
    assert first.closed and second.closed and not third.closed
    assert launches(worker) == [1, 1, 1]


def test_an_engine_without_a_graph_gets_none(worker, want) -> None:
    worker._context.graph_refused = "switched off by the options"
    for index in range(2):
        frame = Frame(bgr(*SIZE, index))
        np.testing.assert_array_equal(worker.segment(frame).labels, want(frame))
    assert worker._context.recordings == []


def test_what_cannot_be_recorded_is_launched_one_by_one(worker, want, monkeypatch) -> None:
    asked = []

    def refuse(before, after):
        asked.append(before)
        raise EngineError("cuStreamEndCapture of the CUDA driver failed")

    monkeypatch.setattr(worker._context, "record", refuse)
    for index in range(3):
        frame = Frame(bgr(*SIZE, index))
        np.testing.assert_array_equal(worker.segment(frame).labels, want(frame))
    assert len(asked) == 1
    assert worker._inference.graph_refused == "cuStreamEndCapture of the CUDA driver failed"


def test_a_device_lost_while_recording_ends_the_run(worker, monkeypatch) -> None:
    def refuse(before, after):
        worker._context.engine.fail_at = worker._context.runs
        raise EngineError("cuStreamEndCapture of the CUDA driver failed")

    monkeypatch.setattr(worker._context, "record", refuse)
    with pytest.raises(EngineError, match=r"the GPU failed \(segmenting a frame without a graph\)"):
        worker.segment(Frame(bgr(*SIZE)))


def test_a_recording_that_gives_other_labels_is_not_used(worker, want, monkeypatch) -> None:
    """One that leaves out preprocessing and inference, and postprocesses what is not logits."""
    made = []

    def record(before, after):
        zeros = np.zeros(worker._context.logits.shape, np.float32)
        made.append(Recording(lambda: worker._context.logits.copy_to_device(zeros), after))
        return made[0]

    monkeypatch.setattr(worker._context, "record", record)
    for index in range(3):
        frame = Frame(bgr(*SIZE, index))
        np.testing.assert_array_equal(worker.segment(frame).labels, want(frame))
    assert len(made) == 1 and made[0].closed
    assert "of the labels that its parts give; expected 99.9%" in worker._inference.graph_refused


def test_a_recording_of_nothing_is_not_used(worker, want, monkeypatch) -> None:
    """The labels of the frame before are still there; they are no answer."""
    monkeypatch.setattr(worker._context, "record", lambda *_: Recording())
    for index in range(3):
        frame = Frame(bgr(*SIZE, index))
        np.testing.assert_array_equal(worker.segment(frame).labels, want(frame))
    assert "0.00% of the labels" in worker._inference.graph_refused


def test_nothing_is_recorded_from_a_frame_without_an_answer(model) -> None:
    engine = DeviceStandIn(model.contract, SIZE, poison=True)
    worker = DeviceWorker(model, engine, Memory())
    assert not worker.segment(Frame(bgr(*SIZE))).valid
    assert worker._context.recordings == []
    engine.poison = False
    assert worker.segment(Frame(bgr(*SIZE))).valid
    engine.poison = True
    assert not worker.segment(Frame(bgr(*SIZE))).valid, "a launch hid that there is no answer"
    assert launches(worker) == [1]
