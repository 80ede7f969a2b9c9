"""Sound is copied bit for bit and stays in time with the pictures."""

from fractions import Fraction

import av
import numpy as np
import pytest
from clips import decode, flat, result_of, times, transcode, write_clip
from numpy.testing import assert_allclose

from rtseg.video.sources import open_source
from rtseg.video.writer import VideoSink


def sound(path):
    """(packet bytes and seconds) of the first audio stream."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    assert all(packet.pts == packet.dts for packet in packets)
    return [(bytes(packet), packet.pts * packet.time_base) for packet in packets]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("start", [0, 0.2])
def test_sound_is_copied_bit_for_bit_and_in_time(tmp_path, suffix, start):
    clip = write_clip(tmp_path / "in.mp4", map(flat, range(50)), sound=start)
    transcode(clip, tmp_path / f"o.{suffix}", audio_from=clip)
    # Before 0 there is only what primes the decoder, and mkv has no such times.
    want = [item for item in sound(clip) if item[1] < 2 and (suffix == "mp4" or item[1] >= 0)]
    got = sound(tmp_path / f"o.{suffix}")
    assert [data for data, _ in got] == [data for data, _ in want]
    tolerance = 0 if suffix == "mp4" else 1 / 1000
    assert_allclose([float(t) for _, t in got], [float(t) for _, t in want], atol=tolerance)
    assert times(tmp_path / f"o.{suffix}") == times(clip)


def test_sound_of_a_transport_stream_is_repacked_and_stays_in_time(tmp_path):
    clip = write_clip(tmp_path / "in.ts", map(flat, range(50)), sound=0.2)
    transcode(clip, tmp_path / "o.mp4", audio_from=clip)
    lead_in, lead_out = (times(path)[0] - sound(path)[0][1] for path in (clip, tmp_path / "o.mp4"))
    assert abs(lead_in - lead_out) <= Fraction(1, 48000)
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 80_000


def test_sound_ends_with_the_last_picture(tmp_path):
    clip = write_clip(tmp_path / "in.mp4", map(flat, range(100)), sound=0)
    out = tmp_path / "o.mp4"
    with (
        open_source(clip, max_frames=25) as source,
        VideoSink(out, info=source.info, audio_from=clip) as sink,
    ):
        for frame in source:
            sink.write(result_of(frame))
    last = sound(tmp_path / "o.mp4")[-1][1]
    assert 1 - Fraction(1024, 48000) <= last < 1


def test_sound_that_the_container_refuses_is_left_out_with_a_note(tmp_path):
    clip = tmp_path / "in.mkv"
    with av.open(str(clip), "w") as container:
        video = container.add_stream("libx264", rate=25, width=64, height=48)
        audio = container.add_stream("tta", rate=48000)
        container.mux(video.encode(flat(0)))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8192), np.int16), "s16", "stereo")
        silence.sample_rate = 48000
        for stream, frame in ((video, None), (audio, silence), (audio, None)):
            container.mux(stream.encode(frame))
    sink = transcode(clip, tmp_path / "o.mp4", audio_from=clip)
    assert sink.notes == ["sound (tta) was left out: mp4 cannot hold it"]
    assert len(decode(sink.path)) == 1


def test_a_source_without_sound_gives_a_video_without(tmp_path):
    clip = write_clip(tmp_path / "in.mp4", map(flat, range(5)))
    sink = transcode(clip, tmp_path / "o.mp4", audio_from=clip)
    with av.open(str(sink.path)) as container:
        assert not container.streams.audio
    assert sink.notes == []
