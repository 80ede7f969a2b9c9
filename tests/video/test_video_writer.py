"""The video sink: what is written is what plays, at the same times."""

import threading
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from clips import (
    FINE,
    decode,
    flat,
    grey_level,
    luma,
    noise,
    plane,
    result_of,
    times,
    transcode,
    write_clip,
)
from numpy.testing import assert_allclose, assert_array_equal

from rtseg.errors import OutputError
from rtseg.frame import Frame, Yuv420
from rtseg.kernels import reference
from rtseg.video.base import SourceInfo
from rtseg.video.pictures import CanvasPool
from rtseg.video.sources import open_source
from rtseg.video.writer import VideoSink

INFO = SourceInfo("test", "video", 64, 48, Fraction(25), time_base=Fraction(1, 25))


def grey(index, width=64, height=48, matrix="bt709", full_range=False):
    y = np.full((height, width), grey_level(index), np.uint8)
    chroma = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
    return Frame(Yuv420(y, chroma, chroma, matrix, full_range), index, index, Fraction(1, 25))


def write(path, frames, info=INFO, **options):
    with VideoSink(path, info=info, **options) as sink:
        for frame in frames:
            sink.write(result_of(frame))
    return sink


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_pictures_and_times_come_back(tmp_path, suffix):
    sink = write(tmp_path / f"o{suffix}", map(grey, range(60)))
    frames = decode(sink.path)
    assert sink.written == len(frames) == 60
    assert times(sink.path) == [Fraction(i, 25) for i in range(60)]
    assert_allclose([plane(f).mean() for f in frames], [grey_level(i) for i in range(60)], atol=2)
    assert sink.notes == []


def test_the_file_is_what_browsers_and_phones_play(tmp_path):
    sink = write(tmp_path / "o.mp4", map(grey, range(60)), preset="superfast")
    with av.open(str(sink.path)) as container:
        stream = container.streams.video[0]
        assert (stream.profile, stream.pix_fmt) == ("High", "yuv420p")
        assert stream.frames == 60  # in a regular index, not in fragments
        keys = [packet.pts for packet in container.demux(stream) if packet.is_keyframe]
    assert max(b - a for a, b in pairwise(keys)) == 12800


def test_irregular_times_are_carried_exactly(tmp_path):
    stamps = [0, 40, 41, 300, 333, 1000, 1001, 5000, 5040]
    clip = write_clip(
        tmp_path / "vfr.mp4", map(flat, range(9)), time_base=Fraction(1, 1000), pts=stamps
    )
    transcode(clip, tmp_path / "o.mp4")
    assert times(tmp_path / "o.mp4") == times(clip) == [Fraction(s, 1000) for s in stamps]
    with av.open(str(tmp_path / "o.mp4")) as container:
        keys = [
            packet.pts * packet.time_base
            for packet in container.demux(video=0)
            if packet.is_keyframe
        ]
    assert {0, 1, 5} <= set(keys)


@pytest.mark.parametrize("base", [Fraction(1001, 30000), Fraction(1, 90000), Fraction(1, 7)])
def test_every_time_base_is_kept(tmp_path, base):
    frames = [replace(grey(i), pts=3 * i, time_base=base) for i in range(20)]
    sink = write(tmp_path / "o.mp4", frames, replace(INFO, time_base=base, rate=None))
    assert times(sink.path) == [3 * i * base for i in range(20)]


def test_a_late_start_becomes_zero(tmp_path):
    clip = write_clip(tmp_path / "late.ts", map(flat, range(10)), pts=range(100_000, 100_010))
    start = times(clip)[0]
    sink = transcode(clip, tmp_path / "o.mp4")
    assert start > 3600
    assert times(sink.path) == [time - start for time in times(clip)]
    assert sink.notes == [f"the video starts at 0 s; its source starts at {float(start):.3f} s"]


def test_stamps_that_do_not_rise_or_lack_are_mended(tmp_path):
    stamps = [0, 1, 1, None, 10]
    frames = [replace(grey(i), pts=pts) for i, pts in enumerate(stamps)]
    sink = write(tmp_path / "o.mp4", frames)
    assert times(sink.path) == [Fraction(i, 25) for i in (0, 1, 2, 3, 10)]


@pytest.mark.parametrize(("width", "height"), [(63, 48), (64, 47), (63, 47), (1, 1)])
def test_odd_sizes_are_padded_with_their_edge(tmp_path, width, height):
    frame = grey(3, width, height)
    frame.image.y[-1, :] = frame.image.y[:, -1] = 200
    sink = write(tmp_path / "o.mp4", [frame], replace(INFO, width=width, height=height), crf=0)
    y = plane(decode(sink.path)[0])
    assert y.shape == (height + height % 2, width + width % 2)
    assert_array_equal(y[:height, :width], frame.image.y)
    assert (y[height:] == 200).all()
    assert (y[:, width:] == 200).all()
    assert f"{width}x{height} was padded to" in sink.notes[0]


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize(("matrix", "tag"), [("bt601", 6), ("bt709", 1), ("bt2020", 9)])
def test_colours_are_tagged_and_kept(tmp_path, matrix, tag, full_range):
    frame = grey(5, matrix=matrix, full_range=full_range)
    frame.image.u[:], frame.image.v[:] = 90, 170
    sink = write(tmp_path / "o.mp4", [frame])
    (decoded,) = decode(sink.path)
    assert (decoded.colorspace, decoded.color_range) == (tag, 2 if full_range else 1)
    with open_source(sink.path) as source:
        image = next(source).image
    assert (image.matrix, image.full_range) == (matrix, full_range)
    assert_allclose(reference.to_bgr(image), reference.to_bgr(frame.image), atol=4)


def test_bgr_becomes_bt709(tmp_path):
    bgr = np.empty((48, 64, 3), np.uint8)
    bgr[:] = (40, 60, 200)
    sink = write(tmp_path / "o.mp4", [Frame(bgr, 0, 0, Fraction(1, 25))])
    with open_source(sink.path) as source:
        image = next(source).image
    assert (image.matrix, image.full_range) == ("bt709", False)
    assert_allclose(reference.to_bgr(image), bgr, atol=4)


def test_a_change_of_colours_keeps_those_of_the_first_picture(tmp_path):
    frames = [grey(0), grey(1, matrix="bt601", full_range=True)]
    sink = write(tmp_path / "o.mp4", frames, crf=4)
    decoded = decode(sink.path)
    assert {frame.colorspace for frame in decoded} == {1}
    full = grey_level(1)
    assert_allclose(plane(decoded[1]).mean(), 16 + 219 * full / 255, atol=2)


def test_another_size_is_fitted_with_black_borders(tmp_path):
    frames = [grey(0), grey(1), grey(2, 128, 96), grey(3, 64, 96), grey(4, 99, 31)]
    sink = write(tmp_path / "o.mp4", frames, crf=4)
    decoded = decode(sink.path)
    assert {(frame.width, frame.height) for frame in decoded} == {(64, 48)}
    assert_allclose(plane(decoded[2]).mean(), grey_level(2), atol=2)
    tall = plane(decoded[3])  # 64x96 → 32x48, from column 16 on
    assert_allclose(tall[:, 18:46].mean(), grey_level(3), atol=2)
    assert_allclose([tall[:, :14].mean(), tall[:, 50:].mean()], 16, atol=2)
    assert len(sink.notes) == 1
    assert "frame 2 is 128x96" in sink.notes[0]


def test_pixel_aspect_is_kept(tmp_path):
    sink = write(tmp_path / "o.mp4", [grey(0)], replace(INFO, aspect=Fraction(16, 11)))
    with open_source(sink.path) as source:
        assert source.info.aspect == Fraction(16, 11)


# Pictures of the pool


def test_pool_pictures_are_encoded_without_a_copy(tmp_path):
    pool = CanvasPool(64, 48)
    picture = pool.lend("bt709", False)
    canvas = pool.claim(picture)
    assert np.shares_memory(picture.y, canvas.y)
    assert picture.y.ctypes.data == canvas.frame.planes[0].buffer_ptr
    assert pool.claim(picture) is None


def test_pictures_that_are_dropped_do_not_stay_in_the_pool():
    pool = CanvasPool(64, 48)
    for _ in range(100):
        pool.lend("bt709", False)
    assert pool._lent == {}


def test_memory_is_reused_only_after_it_was_encoded(tmp_path):
    """One canvas in turn for all frames, and a veryfast encoder that looks ahead."""
    clip = write_clip(tmp_path / "in.mp4", map(noise, range(40)), options=FINE)
    sink = transcode(clip, tmp_path / "o.mp4", preset="veryfast", threads=2, crf=4)
    assert len(sink._pool._spare) == 1
    for ours, theirs in zip(decode(sink.path), decode(clip), strict=True):
        difference = plane(ours).astype(int) - plane(theirs)
        assert np.abs(difference).mean() < 4  # another frame's noise differs by 60


def test_threads_borrow_different_pictures(tmp_path):
    frames = [grey(i) for i in range(64)]
    pictures = {}
    with VideoSink(tmp_path / "o.mp4", info=INFO) as sink:

        def draw(own):
            for frame in own:
                picture = sink.picture_for(frame)
                picture.y[:], picture.u[:], picture.v[:] = frame.image.y, 128, 128
                pictures[frame.index] = picture

        workers = [threading.Thread(target=draw, args=(frames[k::4],)) for k in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        for frame in frames:
            sink.write(result_of(frame, pictures.pop(frame.index)))
    levels = [plane(frame).mean() for frame in decode(sink.path)]
    assert_allclose(levels, [grey_level(i) for i in range(64)], atol=2)


@pytest.mark.parametrize("size", [(64, 48), (128, 96), (31, 17)])
def test_a_picture_has_the_size_and_kind_of_its_frame(tmp_path, size):
    with VideoSink(tmp_path / "o.mp4", info=INFO) as sink:
        planes = sink.picture_for(grey(0, *size, matrix="bt601", full_range=True))
        assert (planes.width, planes.height) == size
        assert (planes.matrix, planes.full_range) == ("bt601", True)
        bgr = np.zeros((size[1], size[0], 3), np.uint8)
        assert sink.picture_for(Frame(bgr)).shape == bgr.shape


# What is refused


@pytest.mark.parametrize("name", ["o.avi", "o", "o.mp4.txt"])
def test_other_containers_are_refused(tmp_path, name):
    with pytest.raises(OutputError, match=r"expected \.mp4, \.mov, \.mkv"):
        VideoSink(tmp_path / name, info=INFO)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [{"preset": "warp"}, {"crf": 99}, {"threads": -1}])
def test_options_of_x264_are_checked(tmp_path, options):
    with pytest.raises(OutputError, match=r"expected"):
        VideoSink(tmp_path / "o.mp4", info=INFO, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_result_without_a_picture_is_an_error(tmp_path):
    with VideoSink(tmp_path / "o.mp4", info=INFO) as sink:
        with pytest.raises(ValueError, match=r"frame 0 has no picture"):
            sink.write(replace(result_of(grey(0)), picture=None))
        sink.write(result_of(grey(0)))


def test_without_frames_there_is_no_file(tmp_path):
    sink = write(tmp_path / "o.mp4", [])
    sink.close()
    assert list(tmp_path.iterdir()) == []


def test_the_video_is_finished_when_the_body_fails(tmp_path):
    with pytest.raises(KeyboardInterrupt), VideoSink(tmp_path / "o.mp4", info=INFO) as sink:
        for index in range(10):
            sink.write(result_of(grey(index)))
        raise KeyboardInterrupt
    assert len(decode(tmp_path / "o.mp4")) == 10
    assert luma(grey(0).image) == grey_level(0)
