"""Damaged and cut files: what can be decoded is, and the rest is counted."""

import random
from itertools import pairwise

import av
import pytest
from clips import FINE, damage, noise, write_clip

from rtseg.errors import RtsegError, SourceError
from rtseg.video import files
from rtseg.video.sources import open_source

FRAMES = 100


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """One clip of noise in each container, 100 frames, two to three MB."""
    folder = tmp_path_factory.mktemp("clips")
    images = [noise(i) for i in range(FRAMES)]
    return {
        name: write_clip(folder / f"clip.{name}", images, options=options, muxer=muxer)
        for name, options, muxer in (
            ("mp4", FINE, {"movflags": "faststart"}),
            ("mkv", FINE, {}),
            ("avi", FINE, {}),
            ("ts", FINE, {}),
        )
    }


def read(path, **options):
    with open_source(path, **options) as source:
        return list(source), source


def index_of(path):
    """(position, size) of each packet; PyAV's own entries are gone once the file is closed."""
    with av.open(str(path)) as container:
        return [(entry.pos, entry.size) for entry in container.streams.video[0].index_entries]


@pytest.mark.parametrize("kind", ["mp4", "mkv", "avi", "ts"])
def test_a_whole_file_has_nothing_to_report(clips, kind):
    frames, source = read(clips[kind])
    assert (len(frames), source.failed, source.notes) == (FRAMES, 0, [])


@pytest.mark.parametrize("kind", ["mp4", "mkv", "avi"])
def test_a_cut_file_says_how_much_is_missing(clips, tmp_path, kind):
    frames, source = read(damage(clips[kind], tmp_path / f"cut.{kind}", keep=0.5))
    assert 45 <= len(frames) <= 52
    assert len(frames) + source.failed == FRAMES
    assert source.notes[0] == (f"decoded {len(frames)} of {FRAMES} frames; the file is cut short")


def test_every_frame_that_is_whole_is_decoded(clips, tmp_path):
    """Also those that wait in the decoder's threads when it meets the cut one."""
    cut = damage(clips["mp4"], tmp_path / "cut.mp4", keep=0.5)
    whole = sum(start + size <= cut.stat().st_size for start, size in index_of(cut))
    assert len(read(cut)[0]) == whole


def test_a_cut_transport_stream_ends_where_it_ends(clips, tmp_path):
    frames, source = read(damage(clips["ts"], tmp_path / "cut.ts", keep=0.5))
    assert 45 <= len(frames) <= 52
    assert source.failed <= 1


@pytest.mark.parametrize("kind", ["mp4", "avi"])
def test_16_kb_of_zeros_cost_few_frames_and_the_count_adds_up(clips, tmp_path, kind):
    hurt = damage(clips[kind], tmp_path / f"hurt.{kind}", zero=(0.5, 16384))
    frames, source = read(hurt)
    assert len(frames) >= 90
    assert len(frames) + source.failed == FRAMES
    assert source.failed or any(frame.corrupt for frame in frames)
    assert any("damage" in note for note in source.notes)


BROKEN = [24, 36, 60]  # key frames: the next frames are concealed or dropped


@pytest.fixture
def broken(clips, tmp_path):
    """With packets that no decoder accepts: their slice headers are gone."""
    entries = index_of(clips["mp4"])
    data = bytearray(clips["mp4"].read_bytes())
    for index in BROKEN:
        start, size = entries[index]
        data[start : start + size] = bytes(size)
    (tmp_path / "hurt.mp4").write_bytes(data)
    return tmp_path / "hurt.mp4"


def test_damage_that_breaks_packets_is_counted_as_it_is_met(broken):
    frames, source = read(broken)
    assert len(frames) + source.failed == FRAMES
    assert source.failed >= len(BROKEN)
    assert f"decoded {len(frames)} of {FRAMES} frames; the file is damaged" in source.notes


@pytest.mark.parametrize("stride", [2, 3, 7, 40])
def test_frames_that_were_not_wanted_have_not_failed(broken, stride):
    """Given and failed frames add up to those wanted; notes count the frames of the file."""
    lost = read(broken)[1].failed
    frames, source = read(broken, vid_stride=stride)
    assert len(frames) + source.failed == len(range(0, FRAMES, stride))
    assert source.failed <= lost // stride + 1
    assert f"decoded {FRAMES - lost} of {FRAMES} frames; the file is damaged" in source.notes


@pytest.mark.parametrize("stride", [1, 3])
def test_a_limit_that_was_reached_leaves_nothing_to_fail(broken, stride):
    frames, source = read(broken, vid_stride=stride, max_frames=60 // stride)
    assert (len(frames), source.failed) == (60 // stride, 0)
    assert any("the file is damaged" in note for note in source.notes)


def test_a_limit_beyond_the_end_of_a_cut_file_bounds_what_failed(clips, tmp_path):
    cut = damage(clips["mp4"], tmp_path / "cut.mp4", keep=0.5)
    for stride, limit in ((1, 80), (3, 25)):
        frames, source = read(cut, vid_stride=stride, max_frames=limit)
        assert len(frames) + source.failed == limit
        assert source.failed > 0


class Unreadable:
    """A container that breaks after some packets and never reads on."""

    def __init__(self, container, packets):
        self._container, self._packets = container, packets

    def demux(self, stream):
        for packet in self._container.demux(stream):
            if self._packets == 0:
                raise av.error.InvalidDataError(1, "broken")
            self._packets -= 1
            yield packet

    def __getattr__(self, name):
        return getattr(self._container, name)


def test_frames_inside_the_decoder_are_given_where_reading_ends_early(tmp_path, monkeypatch):
    options = {"preset": "veryfast", "crf": "4", "bf": "3", "b-adapt": "0"}
    clip = write_clip(tmp_path / "b.mp4", map(noise, range(60)), options=options)
    unbroken = files._open

    def broken(*arguments):
        container, stream = unbroken(*arguments)
        return Unreadable(container, 33), stream

    monkeypatch.setattr(files, "_open", broken)
    frames, source = read(clip)
    assert len(frames) == 33
    assert source.failed == 60 - 33


def test_frames_with_concealed_damage_are_marked(clips, tmp_path):
    hurt = damage(clips["mp4"], tmp_path / "hurt.mp4", zero=(0.5, 300))
    frames, source = read(hurt)
    assert len(frames) == FRAMES
    corrupt = sum(frame.corrupt for frame in frames)
    assert corrupt
    assert source.notes == [f"damage was concealed by the decoder in {corrupt} frame(s)"]


def test_a_limit_before_the_damage_reports_none(clips, tmp_path):
    cut = damage(clips["mp4"], tmp_path / "cut.mp4", keep=0.5)
    with open_source(cut, max_frames=10) as source:
        assert len(list(source)) == 10
    assert (source.failed, source.notes) == (0, [])


@pytest.fixture
def trimmed(tmp_path):
    """Without its first 20 frames, by stream copy: they are kept, and hidden by an edit list."""
    whole = write_clip(tmp_path / "whole.mp4", map(noise, range(50)), gop=50)
    trimmed = tmp_path / "trimmed.mp4"
    options = {"movflags": "faststart"}
    with av.open(str(whole)) as source, av.open(str(trimmed), "w", options=options) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.pts -= 512 * 20
                packet.dts -= 512 * 20
                packet.stream = stream
                out.mux(packet)
    return trimmed


def test_an_edit_list_that_hides_frames_is_no_damage(trimmed):
    with av.open(str(trimmed)) as container:
        assert container.streams.video[0].frames == 50
    frames, source = read(trimmed)
    assert len(frames) == 30
    assert (source.failed, source.notes) == (0, [])


def test_hidden_frames_are_not_counted_as_missing(trimmed, tmp_path):
    frames, source = read(damage(trimmed, tmp_path / "cut.mp4", keep=0.8))
    assert 15 <= len(frames) < 25
    assert len(frames) + source.failed == 30


def test_a_file_of_which_nothing_can_be_decoded_is_refused(clips, tmp_path):
    start, _ = index_of(clips["mp4"])[0]
    data = clips["mp4"].read_bytes()
    (tmp_path / "x.mp4").write_bytes(data[:start] + bytes(len(data) - start))
    with pytest.raises(SourceError, match=r"no frame of .* could be decoded"):
        open_source(tmp_path / "x.mp4")


def spoil(data: bytes, chance: random.Random) -> bytes:
    """Overwrite, cut or leave out some bytes, often in the header."""
    spoilt, at = bytearray(data), chance.randrange(len(data))
    match chance.randrange(4):
        case 0:
            for _ in range(50):
                spoilt[chance.randrange(len(data))] = chance.randrange(256)
        case 1:
            del spoilt[at:]
        case 2:
            del spoilt[at : at + 3000]
        case _:
            at = chance.randrange(5000)
            spoilt[at : at + 4] = chance.randbytes(4)
    return bytes(spoilt)


@pytest.mark.parametrize("kind", ["mp4", "mkv", "avi", "ts"])
def test_any_damage_gives_rising_frames_or_an_error_of_ours(clips, tmp_path, kind):
    chance = random.Random(kind)
    data = clips[kind].read_bytes()[:300_000]
    path = tmp_path / f"spoilt.{kind}"
    for _ in range(12):
        path.write_bytes(spoil(data, chance))
        try:
            frames, source = read(path)
        except RtsegError:
            continue
        assert all(a.pts < b.pts for a, b in pairwise(frames))
        assert source.failed >= 0


def test_ffmpeg_does_not_talk_to_the_user(clips, tmp_path, capfd):
    read(damage(clips["mp4"], tmp_path / "hurt.mp4", keep=0.5, zero=(0.2, 16384)))
    assert capfd.readouterr() == ("", "")
