"""The whole path with frames on the device: the same files as with frames on the host."""

from __future__ import annotations

import re
import sys
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.error import ExternalError
from stand_in import DeviceStandIn, HostStandIn, in_layout, on_device, planes

from rtseg.device import driver
from rtseg.device.memory import Memory
from rtseg.errors import EngineError, SinkError
from rtseg.frame import Frame
from rtseg.overlay import Overlay
from rtseg.pipeline import Pipeline, in_flight, painter
from rtseg.segmentation import Result
from rtseg.segmenter import DEVICE_STREAMS, Segmenter
from rtseg.video import nvenc
from rtseg.video.base import BaseSource, Limits, SourceInfo
from rtseg.video.codecs import Effort
from rtseg.video.sinks import MaskSink, StillSink, VideoSink

SIZE = (48, 32)


class Frames(BaseSource[int]):
    """Frames of patches that move, in planes; on the device if there is a `memory` for them, or a
    `layout` other than nv12."""

    def __init__(self, count: int, memory: Memory | None = None, layout: str = "") -> None:
        super().__init__(Limits())
        self.info = SourceInfo("frames", "video", *SIZE, Fraction(25), count)
        self._count, self._memory, self._layout = count, memory, layout

    def _raw(self):
        yield from range(self._count)

    def _frame(self, index: int, raw: int) -> Frame:
        picture = planes(*SIZE, raw)
        image = on_device(picture, self._memory) if self._memory else picture
        if self._layout:
            image = in_layout(picture, self._layout)
        return Frame(image, index, raw, Fraction(1, 25))


def segmenter(model, engine) -> Segmenter:
    """One with the stand-in as its engine, and one worker: the simulator knows no second thread."""
    made = Segmenter(model, size=SIZE)
    made._engine = engine
    return made


def run(made: Segmenter, source: Frames, sinks, shown) -> object:
    paint = painter(Overlay(made.model.classes), shown.picture_for)
    with made:
        try:
            return Pipeline(source, made, [*sinks, shown], painter=paint).run()
        finally:
            for sink in (*sinks, shown):
                sink.close()


def pictures(path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]


@pytest.fixture(autouse=True)
def nobody_is_left_behind(monkeypatch) -> None:
    """A worker that still computes when its run fails would break the simulation of the next."""
    monkeypatch.setattr("rtseg.pipeline._JOIN", 120.0)


@pytest.fixture
def host_file(model, tmp_path):
    """What the path on the host writes for four frames, and its masks."""
    source = Frames(4)
    video = VideoSink(tmp_path / "host.mp4", info=source.info, crf=0)
    masks = MaskSink(tmp_path / "host")
    run(segmenter(model, HostStandIn(model.contract, SIZE)), source, [masks], video)
    return tmp_path / "host.mp4"


def staying(path, source: Frames, made: Segmenter, monkeypatch) -> VideoSink:
    """A sink that takes pictures on the device as for NVENC, and hands them to x264."""
    monkeypatch.setattr(nvenc, "missing", lambda *_: None)
    video = VideoSink(path, info=source.info, crf=0, encoder="auto")
    video.stay_on_gpu(made.memory, in_flight(1))
    assert str(video.effort) == "nvenc p4, qp 0"
    video.effort = Effort("ultrafast", 0, 1)
    return video


@pytest.mark.parametrize("there", [False, True])
def test_the_video_is_that_of_the_host(model, tmp_path, host_file, there) -> None:
    memory = Memory()
    source = Frames(4, memory if there else None)
    made = segmenter(model, DeviceStandIn(model.contract, SIZE))
    video = VideoSink(tmp_path / "device.mp4", info=source.info, crf=0)
    summary = run(made, source, [MaskSink(tmp_path / "device")], video)
    assert summary.written == 4
    want, got = pictures(host_file), pictures(tmp_path / "device.mp4")
    assert len(want) == len(got) == 4
    assert all(np.array_equal(a, b) for a, b in zip(want, got, strict=True))
    for mask in sorted((tmp_path / "host").iterdir()):
        assert mask.read_bytes() == (tmp_path / "device" / mask.name).read_bytes()
    stages = {"upload", "preprocess", "inference", "postprocess", "overlay", "download", "write"}
    assert stages <= set(summary.stages)


def test_pictures_that_stay_are_encoded_from_where_they_are(
    model, tmp_path, host_file, monkeypatch
) -> None:
    """All of the way to NVENC but NVENC: x264 takes the same nv12 frames."""
    source = Frames(4)
    made = segmenter(model, DeviceStandIn(model.contract, SIZE))
    video = staying(tmp_path / "device.mp4", source, made, monkeypatch)
    given: list[object] = []
    made_by = nvenc.FrameMaker.frame
    monkeypatch.setattr(
        nvenc.FrameMaker, "frame", lambda self, p: given.append(p) or made_by(self, p)
    )
    run(made, source, [], video)
    assert len(given) == 4
    want, got = pictures(host_file), pictures(tmp_path / "device.mp4")
    assert all(np.array_equal(a, b) for a, b in zip(want, got, strict=True))


@pytest.mark.parametrize("layout", ["i420", "p010"])
def test_other_layouts_are_painted_and_encoded_by_the_host(
    model, tmp_path, host_file, monkeypatch, layout
) -> None:
    source = Frames(4, layout=layout)
    made = segmenter(model, DeviceStandIn(model.contract, SIZE))
    video = staying(tmp_path / "device.mp4", source, made, monkeypatch)
    run(made, source, [], video)
    want, got = pictures(host_file), pictures(tmp_path / "device.mp4")
    assert len(got) == 4
    assert all(np.array_equal(a, b) for a, b in zip(want, got, strict=True))


@pytest.mark.parametrize("error", [ExternalError(1, "no surface"), NotImplementedError("no")])
def test_a_picture_that_is_not_taken_leaves_a_playable_file(
    model, tmp_path, monkeypatch, error
) -> None:
    source = Frames(8)
    made = segmenter(model, DeviceStandIn(model.contract, SIZE))
    video = staying(tmp_path / "out.mp4", source, made, monkeypatch)

    def from_dlpack(planes, **options):
        if video.written == 3:
            raise error
        return av.VideoFrame.from_dlpack(planes, **options)

    stand_in = SimpleNamespace(VideoFrame=SimpleNamespace(from_dlpack=from_dlpack))
    monkeypatch.setattr(nvenc, "av", stand_in)
    with pytest.raises(SinkError, match=r"FFmpeg does not take .*: no.*; use --encoder x264"):
        run(made, source, [], video)
    assert len(pictures(tmp_path / "out.mp4")) == 3


def test_a_still_picture_of_a_frame_on_the_device(model, tmp_path) -> None:
    source = Frames(1, Memory())
    still = StillSink(tmp_path / "out.png", info=source.info)
    run(segmenter(model, DeviceStandIn(model.contract, SIZE)), source, [], still)
    assert (tmp_path / "out.png").is_file()


def test_a_lost_device_ends_the_run_with_a_playable_file(model, tmp_path) -> None:
    source = Frames(8)
    made = segmenter(model, DeviceStandIn(model.contract, SIZE, fail_at=6))  # one checks the graph
    video = VideoSink(tmp_path / "out.mp4", info=source.info)
    with pytest.raises(EngineError, match=r"the GPU failed.*nvidia-smi"):
        run(made, source, [], video)
    assert len(pictures(tmp_path / "out.mp4")) == 5


def test_the_segmenter_chooses_the_worker_and_few_streams(model, monkeypatch) -> None:
    from rtseg import segmenter as module

    engine = DeviceStandIn(model.contract, SIZE)
    monkeypatch.setattr(module, "build_engine", lambda *_, **__: engine)
    with Segmenter(model, size=SIZE, streams=8) as made:
        assert not made.on_device
        result = made(Frame(planes(*SIZE)))
        assert made.on_device
        assert made.streams == DEVICE_STREAMS
        assert set(result.timings) >= {"upload", "download"}
        assert made.memory.device_bytes > 0


def test_the_command_says_what_stays_on_the_device(model, tmp_path, monkeypatch, capsys) -> None:
    from rtseg import cli
    from rtseg import segmenter as module

    def build(_model, size, **_):
        return DeviceStandIn(model.contract, size)

    source = Frames(4)
    with VideoSink(tmp_path / "in.mp4", info=source.info, crf=0) as sink:
        for frame in source:
            sink.write(Result(frame, None, frame.image, {}))
    monkeypatch.setattr(module, "build_engine", build)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    args = ["rtseg", "run", "in.mp4", "--size", "48x32", "--streams", "1", "--jsonl", "log.jsonl"]
    monkeypatch.setattr(sys, "argv", args)
    monkeypatch.setattr(driver, "missing", lambda: "no driver, says the test")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in (0, None)
    said = capsys.readouterr().out
    assert "stand-in f16" in said
    for what in ("decoded on the processor; NVDEC", "encoded on the processor; NVENC"):
        assert f"note: {what} is not used: no driver, says the test" in said
    assert re.search(r"device memory for frames: 0\.\d MiB, 0\.\d MiB page-locked", said)
    assert "4 frames in = 4 written + 0 dropped + 0 failed" in said
    assert len(pictures(tmp_path / "in_seg.mp4")) == 4
