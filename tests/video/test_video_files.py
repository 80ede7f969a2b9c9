"""Video files: what is in them arrives, exactly and without copies."""

import gc
import os
from fractions import Fraction
from itertools import pairwise

import av
import av.filter
import numpy as np
import pytest
from clips import FINE, decode, fill, flat, grey_level, luma, noise, plane, write_clip

from rtseg.errors import SourceError
from rtseg.frame import Yuv420
from rtseg.video.planes import PlaneReader
from rtseg.video.sources import open_source


def read(spec, **options):
    with open_source(spec, **options) as source:
        return list(source), source


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", (flat(i) for i in range(30)))


def test_frames_arrive_in_order_and_complete(clip):
    frames, source = read(clip)
    assert [frame.index for frame in frames] == list(range(30))
    assert [round(luma(frame.image)) for frame in frames] == [grey_level(i) for i in range(30)]
    assert (source.failed, source.notes) == (0, [])


def test_info_describes_the_file(clip):
    with open_source(str(clip)) as source:
        info = source.info
    assert (info.name, info.kind, info.width, info.height) == ("clip.mp4", "video", 64, 48)
    assert (info.rate, info.frames, info.path, info.aspect) == (25, 30, clip, 1)
    assert info.time_base == Fraction(1, 12800)
    assert info.inputs == (clip,)
    assert source.names is None


def test_variable_frame_rate_is_carried_exactly(tmp_path):
    pts = [0, 40, 41, 300, 333, 1000, 1001, 5000]
    clip = write_clip(
        tmp_path / "vfr.mp4", map(flat, range(8)), time_base=Fraction(1, 1000), pts=pts
    )
    frames, _ = read(clip)
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(p, 1000) for p in pts]
    assert frames[3].seconds == 0.3


def test_b_frames_arrive_in_order_of_display(tmp_path):
    options = {"preset": "veryfast", "crf": "4", "bf": "3", "b-adapt": "0"}
    clip = write_clip(tmp_path / "b.mp4", map(flat, range(25)), options=options)
    frames, _ = read(clip)
    assert [round(luma(frame.image)) for frame in frames] == [grey_level(i) for i in range(25)]


def test_planes_are_views_of_the_decoder_and_outlive_it(tmp_path):
    clip = write_clip(tmp_path / "n.mp4", map(noise, range(30)), options=FINE)
    want = [plane(frame) for frame in decode(clip)]
    frames, source = read(clip)
    source.close()
    del source
    gc.collect()
    for frame, y in zip(frames, want, strict=True):
        assert frame.image.y.base is not None
        assert not frame.image.y.flags.writeable
        np.testing.assert_array_equal(frame.image.y, y)


@pytest.mark.parametrize(("width", "height"), [(63, 47), (64, 47), (63, 48), (1, 1), (3, 2)])
def test_odd_sizes_have_chroma_of_half_the_size_rounded_up(tmp_path, width, height):
    clip = tmp_path / "odd.mkv"
    image = av.VideoFrame(width, height, "yuv420p")
    write_clip(clip, [fill(image, 90, 100, 150)], codec="ffv1", options={})
    (frame,), source = read(clip)
    assert (source.info.width, source.info.height) == (width, height)
    assert frame.image.u.shape == ((height + 1) // 2, (width + 1) // 2)
    assert [set(p.ravel()) for p in (frame.image.y, frame.image.u, frame.image.v)] == [
        {90}, {100}, {150},
    ]  # fmt: skip


def test_padded_rows_of_the_decoder_are_no_part_of_the_picture(tmp_path):
    clip = write_clip(tmp_path / "pad.mp4", [flat(0, 146, 50)])
    (frame,), _ = read(clip)
    assert frame.image.y.shape == (50, 146)
    assert frame.image.y.strides[0] > 146
    assert set(frame.image.y.ravel()) == {grey_level(0)}


def test_pictures_that_are_stored_upside_down(tmp_path):
    """FFmpeg flips by counting rows backwards, from the last one on."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=320, height=240, format="yuv420p", time_base=Fraction(1, 25))
    flip, sink = graph.add("vflip"), graph.add("buffersink")
    source.link_to(flip)
    flip.link_to(sink)
    graph.configure()
    frame = noise(0).reformat(format="yuv420p")
    graph.push(frame)
    flipped = graph.pull()
    assert flipped.planes[0].line_size < 0
    image = PlaneReader().read(flipped)
    np.testing.assert_array_equal(image.y, plane(frame)[::-1])
    np.testing.assert_array_equal(image.v, plane(frame, 2)[::-1])


def test_limit_and_stride_count_source_frames(clip):
    frames, source = read(clip, vid_stride=4, max_frames=5)
    assert [frame.index for frame in frames] == [0, 4, 8, 12, 16]
    assert [frame.pts for frame in frames] == [512 * 4 * i for i in range(5)]
    assert (source.info.frames, source.failed) == (5, 0)
    assert read(clip, vid_stride=4)[1].info.frames == len(range(0, 30, 4))


@pytest.mark.parametrize("options", [{"vid_stride": 0}, {"max_frames": 0}, {"max_frames": -1}])
def test_senseless_limits_are_refused(clip, options):
    with pytest.raises(SourceError, match="expected 1"):
        open_source(clip, **options)


def corners(rotation: int | None, tmp_path):
    """A clip of 96x64 whose upper left quarter is bright, as rtseg reads it."""
    picture = flat(0, 96, 64)
    fill(picture, 40, 128, 128)
    y = np.frombuffer(picture.planes[0], np.uint8).reshape(64, -1)
    y[:32, :48] = 200
    return write_clip(tmp_path / f"r{rotation}.mp4", [picture], rotation=rotation)


@pytest.mark.skipif(
    not hasattr(av.VideoStream, "set_display_rotation"), reason="this PyAV writes no rotation"
)
@pytest.mark.parametrize(
    # Counterclockwise; where the bright quarter goes: (row, column), 0 is up or left.
    ("rotation", "size", "bright"),
    [
        (0, (96, 64), (0, 0)),
        (90, (64, 96), (1, 0)),
        (180, (96, 64), (1, 1)),
        (-90, (64, 96), (0, 1)),
    ],
)
def test_rotation_is_applied(tmp_path, rotation, size, bright):
    clip = corners(rotation, tmp_path)
    (frame,), source = read(clip)
    width, height = size
    assert (source.info.width, source.info.height) == (frame.width, frame.height) == size
    halves = frame.image.y.reshape(2, height // 2, 2, width // 2).mean(axis=(1, 3))
    assert np.unravel_index(halves.argmax(), (2, 2)) == bright
    (frame,), source = read(clip, autorotate=False)
    assert (source.info.width, frame.width) == (96, 96)


def test_pixel_aspect_is_told(tmp_path):
    clip = write_clip(tmp_path / "sar.mp4", [flat(0)], aspect=Fraction(16, 11))
    with open_source(clip) as source:
        assert source.info.aspect == Fraction(16, 11)


def test_a_change_of_size_is_followed_and_noted(tmp_path):
    small = write_clip(tmp_path / "small.h264", map(flat, range(5)), gop=5)
    large = write_clip(tmp_path / "large.h264", (flat(i, 128, 96) for i in range(5)), gop=5)
    joined = tmp_path / "joined.h264"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    frames, source = read(joined)
    assert [frame.width for frame in frames] == [64] * 5 + [128] * 5
    assert source.info.width == 64
    assert source.notes[0] == "frame 5: the size changes from 64x48 to 128x96"


def test_a_size_that_grows_past_the_limit_is_not_decoded(tmp_path):
    small = write_clip(tmp_path / "small.h264", map(flat, range(200)))
    large = write_clip(tmp_path / "large.h264", (flat(i, 256, 192) for i in range(5)), gop=5)
    joined = tmp_path / "joined.h264"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    assert read(joined)[0][-1].width == 256
    frames, source = read(joined, max_pixels=5000)
    assert [frame.width for frame in frames] == [64] * 200
    assert source.failed


def test_missing_and_falling_stamps_rise(tmp_path):
    parts = []
    for name in "ab":
        part = write_clip(tmp_path / f"{name}.ts", map(flat, range(30)), pts=range(50, 80))
        parts.append(part.read_bytes())
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(parts))
    frames, source = read(joined)
    stamps = [frame.pts for frame in frames]
    assert len(frames) == 60
    assert all(a < b for a, b in pairwise(stamps))
    assert stamps[30] - stamps[29] == 3600  # a frame of 1/25 s in 1/90000 s
    assert any("time stamp" in note for note in source.notes)


def test_a_raw_stream_without_times_gets_times(tmp_path):
    clip = write_clip(tmp_path / "raw.h264", map(flat, range(10)))
    frames, _ = read(clip)
    gaps = {b.pts - a.pts for a, b in pairwise(frames)}
    assert len(frames) == 10
    assert len(gaps) == 1


@pytest.mark.parametrize("name", ["a:b.mp4", "http:x.mp4", "50%_#1?.mp4", "[1] *.mp4", " ü→.mp4"])
def test_any_name_that_exists_is_a_path(tmp_path, monkeypatch, clip, name):
    clip.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(read(name)[0]) == 30


def test_a_name_that_is_no_utf8_can_be_read_and_printed(tmp_path, clip):
    name = os.fsencode(tmp_path) + b"/\xff\xfe.mp4"
    try:
        os.rename(clip, name)  # noqa: PTH104
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    frames, source = read(os.fsdecode(name))
    assert len(frames) == 30
    assert source.info.name == "��.mp4"


def test_links_are_followed(tmp_path, clip):
    link = tmp_path / "link.mp4"
    link.symlink_to(clip)
    assert len(read(link)[0]) == 30


def test_nothing_of_a_closed_source_waits_for_the_garbage_collector(clip):
    gc.collect()
    frames, source = read(clip)
    del frames, source
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        large = [thing for thing in gc.garbage if getattr(thing, "width", 0) > 8]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert large == []


def test_a_closed_source_gives_nothing_and_closes_again(clip):
    source = open_source(clip)
    next(source)
    source.close()
    source.close()
    assert list(source) == []


def test_large_pictures_are_refused_before_decoding(clip):
    with pytest.raises(SourceError, match=r"64x48, more than 1000 pixels.*--max-pixels"):
        open_source(clip, max_pixels=1000)
    assert len(read(clip, max_pixels=64 * 48)[0]) == 30


def test_every_frame_is_a_yuv420(clip):
    assert all(isinstance(frame.image, Yuv420) for frame in read(clip)[0])
