"""What is no video is refused with one sentence that says what was got and what to do."""

import os
import struct

import av
import numpy as np
import pytest
from clips import flat, noise, write_clip

from rtseg.errors import IncompleteRecordingError, SourceError
from rtseg.video.sources import open_source


def refuse(spec, match, error=SourceError):
    with pytest.raises(error, match=match) as caught:
        open_source(spec)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_missing_file(tmp_path):
    refuse(tmp_path / "none.mp4", r"no such file: .*none\.mp4; check the path")


def test_empty_file(tmp_path):
    (tmp_path / "e.mp4").touch()
    refuse(tmp_path / "e.mp4", r"e\.mp4 is empty \(0 bytes\); expected a video")


@pytest.mark.parametrize("name", ["notes.mp4", "notes.txt", "notes"])
def test_text(tmp_path, name):
    (tmp_path / name).write_text("not a video\n" * 200)
    refuse(tmp_path / name, r"is not a video that can be read .*expected a video such as mp4")


def test_random_bytes(tmp_path):
    path = tmp_path / "noise.mp4"
    path.write_bytes(np.random.default_rng(0).bytes(50_000))
    refuse(path, "is not a video that can be read")


def test_sound_without_pictures(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.int16), "s16", "stereo")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    refuse(path, r"has no video stream \(it has audio\)")


def test_a_recording_without_its_index(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", map(noise, range(5)))
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[:-4000])
    message = refuse(cut, "cut off before its index was written", IncompleteRecordingError)
    assert "untrunc" in message


def test_a_recording_cut_inside_its_index(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", map(flat, range(200)))
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[:-300])
    refuse(cut, "incomplete recording", IncompleteRecordingError)


def test_an_unreadable_iso_file_is_no_incomplete_recording(tmp_path):
    boxes = struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + struct.pack(">I4s", 8, b"moov")
    (tmp_path / "x.mp4").write_bytes(boxes + bytes(100))
    refuse(tmp_path / "x.mp4", "is not a video|no video stream")


def test_a_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    refuse(tmp_path, "the folder .* has no images; expected files such as bmp")


def test_a_pattern_without_images(tmp_path):
    refuse(tmp_path / "*.png", r"the pattern .*\*\.png has no images")


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("list.m3u8", "#EXTM3U\n#EXTINF:4,\nclip.ts\n#EXT-X-ENDLIST\n", "an HLS playlist"),
        ("list.mp4", "\ufeff#EXTM3U\n#EXTINF:4,\nclip.ts\n#EXT-X-ENDLIST\n", "an HLS playlist"),
        ("list.txt", "ffconcat version 1.0\nfile clip.ts\n", "a list of files"),
        ("call.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n", "SDP"),
        ("m.mp4", '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">', "a DASH"),
        ("list.pls", "File1=clip.ts\n", "a playlist"),
    ],
)
def test_playlists_are_not_followed(tmp_path, name, text, what):
    write_clip(tmp_path / "clip.ts", map(flat, range(5)))
    (tmp_path / name).write_text(text)
    refuse(tmp_path / name, f"is .*{what}.*may lead to other files and hosts")


def test_a_playlist_in_disguise_is_not_opened_either(tmp_path):
    """Past the check of the first bytes, FFmpeg itself is told which formats to accept."""
    write_clip(tmp_path / "clip.ts", map(flat, range(5)))
    (tmp_path / "x.mp4").write_text("file clip.ts\n" * 5)
    refuse(tmp_path / "x.mp4", "is not a video that can be read")


@pytest.mark.parametrize(
    "address", ["rtsp://user:secret@camera/1", "http://host/a.mp4", "udp://0.0.0.0:5000"]
)
def test_live_addresses_are_refused_without_their_password(address):
    message = refuse(address, "addresses are not supported yet")
    assert "secret" not in message


@pytest.mark.parametrize("spec", ["0", "", "a\0b"])
def test_what_is_no_path(spec):
    refuse(spec, "expected a video|cameras are not supported")


def test_a_device_is_no_file():
    refuse("/dev/zero", "neither a file nor a folder; .*not supported yet")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", [flat(0)])
    clip.chmod(0)
    refuse(clip, "may not be read; check its permissions")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["clip.mp4", "image.png"])
def test_a_file_in_a_folder_that_may_not_be_entered(tmp_path, name):
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / name).write_text("hidden")
    (tmp_path / "closed").chmod(0)
    try:
        refuse(tmp_path / "closed" / name, "may not be read; check its permissions")
    finally:
        (tmp_path / "closed").chmod(0o700)


@pytest.mark.parametrize(
    "spec",
    [
        "synthetic:",
        "synthetic:12x",
        "synthetic:0x100@30",
        "synthetic:640x360@0",
        "synthetic:640x360@30?frames=0",
        "synthetic:640x360@30?frames=many",
        "synthetic:640x360@30?speed=3",
        "synthetic:16x16@30",
        "synthetic:99999x99999@30",
    ],
)
def test_a_wrong_scene_is_refused(spec):
    message = refuse(spec, "synthetic:")
    assert "expected" in message or "smaller" in message
