"""Encoding on the GPU: what is chosen without one; and the names PyAV has for both ways."""

from __future__ import annotations

import sys

import av
import pytest
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.error import FFmpegError

from rtseg.device import driver
from rtseg.errors import EngineError, OutputError
from rtseg.video import gpu, nvenc
from rtseg.video.base import SourceInfo
from rtseg.video.codecs import Effort
from rtseg.video.sinks import VideoSink


def info(width: int = 64, height: int = 48) -> SourceInfo:
    return SourceInfo("test", "video", width, height)


def test_nvenc_by_name_is_refused_before_anything_is_written(tmp_path, no_gpu) -> None:
    with pytest.raises(OutputError, match=r"NVENC cannot be used: no NVIDIA driver.*--encoder"):
        VideoSink(tmp_path / "out.mp4", info=info(), encoder="nvenc")
    assert not list(tmp_path.iterdir())


def test_presets_of_x264_are_not_for_nvenc(tmp_path) -> None:
    with pytest.raises(OutputError, match="for x264"):
        VideoSink(tmp_path / "out.mp4", info=info(), encoder="nvenc", preset="fast")


def test_an_encoder_that_cannot_be_opened_is_a_reason(claimed) -> None:
    assert nvenc.missing(1280, 720) == "h264_nvenc cannot be opened (Operation not permitted)"


def test_cuda_that_does_not_start_is_a_reason_against_nvenc(driven) -> None:
    assert "the GPU failed (starting CUDA for FFmpeg)" in (nvenc.missing(1280, 720) or "")


def test_without_numba_cuda_there_is_a_reason_against_nvenc(driven, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "numba.cuda", None)
    assert "pip install 'rtseg[cuda]'" in (nvenc.missing(1280, 720) or "")


def test_without_nvenc_pictures_of_the_gpu_are_encoded_by_x264(tmp_path, no_gpu) -> None:
    from rtseg.device.memory import Memory

    memory = Memory()
    sink = VideoSink(tmp_path / "out.mp4", info=info(), encoder="auto")
    sink.stay_on_gpu(memory, 8)
    assert sink.effort.codec == "x264"
    assert sink.notes == [
        f"encoded on the processor; NVENC is not used: {driver.missing()}",
    ]
    assert memory.device_bytes == 0


def test_x264_by_name_is_not_remarked_on(tmp_path) -> None:
    from rtseg.device.memory import Memory

    sink = VideoSink(tmp_path / "out.mp4", info=info(), encoder="x264", preset="fast")
    sink.stay_on_gpu(Memory(), 8)
    assert not sink.notes
    assert str(sink.effort) == "x264 fast, crf 23"
    assert str(Effort("p4", 20, 1, "nvenc")) == "nvenc p4, qp 20"


# PyAV: the names and parameters that only a GPU would run


def test_hwaccel_takes_what_it_is_given(claimed) -> None:
    made = gpu.accelerator()
    assert made.is_hw_owned and made.allow_software_fallback and made.device_id == 0
    # PyAV adds the primary context, which FFmpeg may refuse, unless it is told not to.
    assert made.options == {"primary_ctx": "0", "current_ctx": "1"}
    assert HWAccel("cuda", device="0", is_hw_owned=True).options == {"primary_ctx": "1"}
    with pytest.raises(TypeError):
        HWAccel("cuda", hw_owned=True)
    assert "cuda" in hwdevices_available()


def test_ffmpeg_is_not_called_outside_a_context(no_gpu) -> None:
    with pytest.raises(EngineError, match="starting CUDA for FFmpeg"):
        gpu.accelerator()


def test_open_and_add_stream_take_an_hwaccel(tmp_path, fine_clip, claimed) -> None:
    hwaccel = gpu.accelerator()
    with pytest.raises(PermissionError):
        av.open(str(fine_clip), hwaccel=hwaccel)
    with av.open(str(tmp_path / "out.mp4"), "w") as container, pytest.raises(FFmpegError):
        container.add_stream("h264_nvenc", rate=25, options={"preset": "p4"}, hwaccel=hwaccel)


def test_frames_are_made_from_dlpack_in_a_cuda_context() -> None:
    from av.video.frame import CudaContext

    context = CudaContext(device_id=0, primary_ctx=False, current_ctx=True)
    with pytest.raises(ValueError, match="mutually exclusive"):
        CudaContext(device_id=0, current_ctx=True)
    frame = av.VideoFrame(64, 48, "nv12")
    planes = tuple(plane.__dlpack__() for plane in frame.planes)
    made = av.VideoFrame.from_dlpack(planes, format="nv12", cuda_context=context)
    assert (made.width, made.height) == (64, 48)
    with pytest.raises(TypeError):
        av.VideoFrame.from_dlpack(planes, format="nv12", context=context)


def test_frames_have_what_is_asked_of_them() -> None:
    frame = av.VideoFrame(64, 48, "nv12")
    for name in ("colorspace", "color_range", "color_trc", "is_corrupt", "pts"):
        assert hasattr(frame, name), name
    assert frame.planes[0].__dlpack__(stream=None) is not None
