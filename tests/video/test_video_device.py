"""Decoding on the GPU: what is chosen without one, and that it is said."""

from __future__ import annotations

import subprocess
import sys

import av
import pytest
from clips import FINE, LOSSLESS, flat, luma, write_clip

from rtseg.device import driver
from rtseg.errors import SourceError
from rtseg.frame import Yuv420
from rtseg.video import decoding, gpu, nvenc
from rtseg.video.files import VideoFile
from rtseg.video.sources import open_source


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


def test_software_is_the_default_and_says_nothing(fine_clip) -> None:
    frames, source = read(fine_clip)
    assert len(frames) == 6
    assert not source.notes and not source.on_device


def test_without_a_driver_the_processor_decodes_and_a_note_says_so(fine_clip, no_gpu) -> None:
    plain = read(fine_clip)[0]
    frames, source = read(fine_clip, decoder="auto")
    assert [luma(f.image) for f in frames] == [luma(f.image) for f in plain]
    assert [f.pts for f in frames] == [f.pts for f in plain]
    assert all(isinstance(f.image, Yuv420) for f in frames)
    assert source.notes == [
        f"decoded on the processor; NVDEC is not used: {driver.missing()}",
    ]


def test_ffmpeg_finding_no_driver_is_a_note_too(fine_clip, claimed) -> None:
    frames, source = read(fine_clip, decoder="auto")
    assert len(frames) == 6
    assert "NVDEC is not used: Operation not permitted" in source.notes[0]


def test_cuda_that_does_not_start_is_a_note_too(fine_clip, driven) -> None:
    frames, source = read(fine_clip, decoder="auto")
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
    fine_clip = write_clip(tmp_path / "clip.mp4", pictures, pix_fmt=pix_fmt, options=options)
    frames, source = read(fine_clip, decoder="auto")
    assert len(frames) == 3
    assert f"NVDEC is not used: it does not decode H.264 of profile {profile}" in source.notes[0]
    with pytest.raises(SourceError, match=rf"by NVDEC: it does not decode H.264 .*{profile}"):
        open_source(fine_clip, decoder="nvdec")


@pytest.mark.parametrize(
    "options", [FINE, {"bf": "3", "refs": "4"}, {"preset": "ultrafast", "profile": "baseline"}]
)
def test_usual_h264_is_sent_to_nvdec(tmp_path, claimed, options) -> None:
    fine_clip = write_clip(tmp_path / "clip.mp4", (flat(i) for i in range(6)), options=options)
    assert "Operation not permitted" in read(fine_clip, decoder="auto")[1].notes[0]  # by FFmpeg


def test_other_codecs_are_sent_to_nvdec(tmp_path, claimed) -> None:
    options = {"preset": "ultrafast", "x265-params": "log-level=none"}
    pictures = (flat(i) for i in range(3))
    fine_clip = write_clip(tmp_path / "clip.mp4", pictures, codec="libx265", options=options)
    assert "Operation not permitted" in read(fine_clip, decoder="auto")[1].notes[0]


def test_whatever_nvdec_raises_the_file_is_closed(fine_clip, claimed, closed, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("rtseg.video.nvdec.NvdecReader", broken)
    with pytest.raises(ZeroDivisionError):
        open_source(fine_clip, decoder="auto")
    assert len(closed) == 1
    with pytest.raises(SourceError):
        monkeypatch.setattr(decoding, "missing", lambda: "no")
        open_source(fine_clip, decoder="nvdec")
    assert len(closed) == 2


def test_pictures_that_must_be_turned_are_decoded_by_the_processor(tmp_path, claimed) -> None:
    fine_clip = write_clip(tmp_path / "turned.mp4", (flat(i) for i in range(3)), rotation=90)
    frames, source = read(fine_clip, decoder="auto")
    assert (frames[0].width, frames[0].height) == (48, 64)
    assert "have to be turned" in source.notes[0]
    assert not source.on_device


def test_a_stream_that_nvdec_leaves_to_software_is_decoded_by_the_processor(
    fine_clip, claimed, closed, monkeypatch
) -> None:
    """What FFmpeg does with a codec or a pixel format that the GPU has not."""
    monkeypatch.setattr(gpu, "accelerator", lambda: None)
    frames, source = read(fine_clip, decoder="auto")
    assert len(frames) == 6
    assert "does not give this file's pictures as nv12" in source.notes[0]
    assert len(closed) == 2 and closed[-1] is source


@pytest.mark.parametrize("name", ["no_gpu", "driven", "claimed"])
def test_nvdec_by_name_is_refused(fine_clip, name, request) -> None:
    request.getfixturevalue(name)
    with pytest.raises(SourceError, match=r"clip\.mp4 cannot be decoded by NVDEC.*--decoder auto"):
        open_source(fine_clip, decoder="nvdec")


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


def test_decoding_on_the_processor_never_loads_cuda(fine_clip) -> None:
    code = (
        "import sys; from rtseg.video.sources import open_source;"
        f"frames = list(open_source({str(fine_clip)!r}, decoder='software'));"
        "sys.exit(any(name in sys.modules for name in ('torch', 'numba.cuda.api')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Encoding
