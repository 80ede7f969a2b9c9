"""Decoding and encoding on the GPU: what is chosen without one, and that it is said."""

from __future__ import annotations

import subprocess
import sys

import av
import pytest
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.error import FFmpegError
from clips import FINE, LOSSLESS, flat, luma, write_clip

from rtseg.device import driver
from rtseg.errors import EngineError, OutputError, SourceError
from rtseg.frame import Yuv420
from rtseg.video import decoding, gpu, nvenc
from rtseg.video.base import SourceInfo
from rtseg.video.codecs import Effort
from rtseg.video.files import VideoFile
from rtseg.video.sinks import VideoSink
from rtseg.video.sources import open_source


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", (flat(i) for i in range(6)), options=FINE)


@pytest.fixture
def no_gpu():
    if driver.missing() is None:
        pytest.skip("this machine has a GPU; the fallback has nothing to fall back from")


@pytest.fixture
def driven(no_gpu, monkeypatch):
    """The driver is said to be there, so that numba finds out that it is not."""
    monkeypatch.setattr(driver, "missing", lambda: None)
    monkeypatch.setattr(decoding, "_has_library", lambda: True)


@pytest.fixture
def claimed(driven, monkeypatch):
    """CUDA is said to work, so that FFmpeg itself finds out that it does not."""
    monkeypatch.setattr(gpu, "enter", lambda: None)
    monkeypatch.setattr("rtseg.video.nvdec.compile_copies", lambda: None)


@pytest.fixture
def closed(monkeypatch):
    """How many video files were closed."""
    found = []
    close = VideoFile.close

    def counted(self) -> None:
        found.append(self)
        close(self)

    monkeypatch.setattr(VideoFile, "close", counted)
    return found


def read(path, **options):
    with open_source(path, **options) as source:
        return list(source), source


# Decoding


def test_software_is_the_default_and_says_nothing(clip) -> None:
    frames, source = read(clip)
    assert len(frames) == 6
    assert not source.notes and not source.on_device


def test_without_a_driver_the_processor_decodes_and_a_note_says_so(clip, no_gpu) -> None:
    plain = read(clip)[0]
    frames, source = read(clip, decoder="auto")
    assert [luma(f.image) for f in frames] == [luma(f.image) for f in plain]
    assert [f.pts for f in frames] == [f.pts for f in plain]
    assert all(isinstance(f.image, Yuv420) for f in frames)
    assert source.notes == [
        f"decoded on the processor; NVDEC is not used: {driver.missing()}",
    ]


def test_ffmpeg_finding_no_driver_is_a_note_too(clip, claimed) -> None:
    frames, source = read(clip, decoder="auto")
    assert len(frames) == 6
    assert "NVDEC is not used: Operation not permitted" in source.notes[0]


def test_cuda_that_does_not_start_is_a_note_too(clip, driven) -> None:
    frames, source = read(clip, decoder="auto")
    assert len(frames) == 6
    assert "NVDEC is not used: the GPU failed (starting CUDA for FFmpeg)" in source.notes[0]


def test_a_driver_without_video_is_told_from_none(monkeypatch) -> None:
    """As in a container that was given a GPU to compute on."""
    monkeypatch.setattr(driver, "missing", lambda: None)
    monkeypatch.setattr(decoding, "_LIBRARY", "libnvcuvid-not-there.so.1")
    assert decoding.missing() == (
        "the driver's libnvcuvid-not-there.so.1 is not there (in a container: "
        "NVIDIA_DRIVER_CAPABILITIES=compute,utility,video)"
    )
    monkeypatch.setattr(decoding, "_LIBRARY", "libc.so.6")
    assert decoding.missing() is None


@pytest.mark.parametrize(
    ("pix_fmt", "options", "profile"),
    [
        ("yuv420p", LOSSLESS, "High 4:4:4 Predictive"),
        ("yuv422p", FINE, "High 4:2:2"),
        ("yuv420p10le", FINE, "High 10"),
    ],
)
def test_h264_that_nvdec_does_not_decode_is_not_sent_there(
    tmp_path, claimed, pix_fmt, options, profile
) -> None:
    pictures = (flat(i).reformat(format=pix_fmt) for i in range(3))
    clip = write_clip(tmp_path / "clip.mp4", pictures, pix_fmt=pix_fmt, options=options)
    frames, source = read(clip, decoder="auto")
    assert len(frames) == 3
    assert f"NVDEC is not used: it does not decode H.264 of profile {profile}" in source.notes[0]
    with pytest.raises(SourceError, match=rf"by NVDEC: it does not decode H.264 .*{profile}"):
        open_source(clip, decoder="nvdec")


@pytest.mark.parametrize(
    "options", [FINE, {"bf": "3", "refs": "4"}, {"preset": "ultrafast", "profile": "baseline"}]
)
def test_usual_h264_is_sent_to_nvdec(tmp_path, claimed, options) -> None:
    clip = write_clip(tmp_path / "clip.mp4", (flat(i) for i in range(6)), options=options)
    assert "Operation not permitted" in read(clip, decoder="auto")[1].notes[0]  # by FFmpeg


def test_other_codecs_are_sent_to_nvdec(tmp_path, claimed) -> None:
    options = {"preset": "ultrafast", "x265-params": "log-level=none"}
    pictures = (flat(i) for i in range(3))
    clip = write_clip(tmp_path / "clip.mp4", pictures, codec="libx265", options=options)
    assert "Operation not permitted" in read(clip, decoder="auto")[1].notes[0]


def test_whatever_nvdec_raises_the_file_is_closed(clip, claimed, closed, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("rtseg.video.nvdec.NvdecReader", broken)
    with pytest.raises(ZeroDivisionError):
        open_source(clip, decoder="auto")
    assert len(closed) == 1
    with pytest.raises(SourceError):
        monkeypatch.setattr(decoding, "missing", lambda: "no")
        open_source(clip, decoder="nvdec")
    assert len(closed) == 2


def test_pictures_that_must_be_turned_are_decoded_by_the_processor(tmp_path, claimed) -> None:
    clip = write_clip(tmp_path / "turned.mp4", (flat(i) for i in range(3)), rotation=90)
    frames, source = read(clip, decoder="auto")
    assert (frames[0].width, frames[0].height) == (48, 64)
    assert "have to be turned" in source.notes[0]
    assert not source.on_device


def test_a_stream_that_nvdec_leaves_to_software_is_decoded_by_the_processor(
    clip, claimed, closed, monkeypatch
) -> None:
    """What FFmpeg does with a codec or a pixel format that the GPU has not."""
    monkeypatch.setattr(gpu, "accelerator", lambda: None)
    frames, source = read(clip, decoder="auto")
    assert len(frames) == 6
    assert "does not give this file's pictures as nv12" in source.notes[0]
    assert len(closed) == 2 and closed[-1] is source


@pytest.mark.parametrize("name", ["no_gpu", "driven", "claimed"])
def test_nvdec_by_name_is_refused(clip, name, request) -> None:
    request.getfixturevalue(name)
    with pytest.raises(SourceError, match=r"clip\.mp4 cannot be decoded by NVDEC.*--decoder auto"):
        open_source(clip, decoder="nvdec")


def test_a_file_that_is_no_video_is_refused_as_such(tmp_path, claimed) -> None:
    (tmp_path / "text.mp4").write_text("not a video\n" * 100)
    with pytest.raises(SourceError, match="not a video that can be read"):
        open_source(tmp_path / "text.mp4", decoder="auto")


def test_old_libraries_are_named(monkeypatch) -> None:
    monkeypatch.setattr(driver, "missing", lambda: None)
    monkeypatch.setattr(decoding, "_has_library", lambda: True)
    assert decoding.missing() is None  # nothing speaks against it but the driver
    monkeypatch.setattr(decoding, "hwdevices_available", lambda: ["vaapi"])
    assert "built without it" in (decoding.missing() or "")
    monkeypatch.setitem(sys.modules, "rtseg.video.nvdec", None)
    monkeypatch.setattr(decoding, "hwdevices_available", lambda: ["cuda"])
    assert "numba-cuda" in (decoding.missing() or "")
    monkeypatch.setattr(av, "__version__", "16.0.1")
    assert decoding.missing() == nvenc.missing(64, 48)
    assert "install av 18" in (decoding.missing() or "")


def test_decoding_on_the_processor_never_loads_cuda(clip) -> None:
    code = (
        "import sys; from rtseg.video.sources import open_source;"
        f"frames = list(open_source({str(clip)!r}, decoder='software'));"
        "sys.exit(any(name in sys.modules for name in ('torch', 'numba.cuda.api')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Encoding


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


def test_open_and_add_stream_take_an_hwaccel(tmp_path, clip, claimed) -> None:
    hwaccel = gpu.accelerator()
    with pytest.raises(PermissionError):
        av.open(str(clip), hwaccel=hwaccel)
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
