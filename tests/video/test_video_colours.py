"""Known colours come back, whatever the matrix, the range and the pixel format."""

import av
import numpy as np
import pytest
from clips import LOSSLESS, fill, write_clip
from numpy.testing import assert_allclose

from rtseg.kernels import reference
from rtseg.video.planes import Orientation
from rtseg.video.sources import open_source

WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
TAGS = {"bt601": 6, "bt709": 1, "bt2020": 9}
COLOURS = [(200, 60, 40), (30, 160, 70), (40, 70, 190), (128, 128, 128), (250, 250, 5)]


def yuv(rgb, matrix, full_range):
    """ITU-T H.273: R'G'B' of 0–255 → Y'CbCr in 8 bits, exact."""
    kr, kb = WEIGHTS[matrix]
    r, g, b = (value / 255 for value in rgb)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)
    if full_range:
        return 255 * y, 128 + 255 * cb, 128 + 255 * cr
    return 16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr


def solid(rgb, matrix, full_range, pix_fmt="yuv420p", size=(64, 48)):
    """A flat frame in an 8-bit or 10-bit planar format."""
    frame = av.VideoFrame(*size, pix_fmt)
    wide = "10" in pix_fmt
    for plane, level in zip(frame.planes, yuv(rgb, matrix, full_range), strict=False):
        samples = np.frombuffer(plane, np.uint16 if wide else np.uint8)
        samples[:] = round(level * 4) if wide else round(level)
    return frame


def first(path, **options):
    with open_source(path, **options) as source:
        return next(source).image


def assert_colour(image, rgb, tolerance=3):
    bgr = reference.to_bgr(image)
    assert_allclose(bgr.mean(axis=(0, 1))[::-1], rgb, atol=tolerance)
    assert bgr.std(axis=(0, 1)).max() < 2  # swscale dithers 10 bits to 8


@pytest.mark.parametrize("rgb", COLOURS)
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
def test_tagged_colours(tmp_path, matrix, full_range, rgb):
    clip = write_clip(
        tmp_path / "c.mp4",
        [solid(rgb, matrix, full_range)],
        colorspace=TAGS[matrix],
        color_range=2 if full_range else 1,
    )
    image = first(clip)
    assert (image.matrix, image.full_range) == (matrix, full_range)
    assert_colour(image, rgb)


@pytest.mark.parametrize(("height", "matrix"), [(576, "bt601"), (718, "bt601"), (720, "bt709")])
def test_untagged_colours_are_guessed_by_height(tmp_path, height, matrix):
    frame = solid(COLOURS[0], matrix, False, size=(64, height))
    image = first(write_clip(tmp_path / "c.mp4", [frame]))
    assert (image.matrix, image.full_range) == (matrix, False)
    assert_colour(image, COLOURS[0])


def test_the_matrix_can_be_overridden(tmp_path):
    clip = write_clip(tmp_path / "c.mp4", [solid(COLOURS[0], "bt709", False)], colorspace=6)
    assert_colour(first(clip, matrix="bt709"), COLOURS[0])


@pytest.mark.parametrize("rgb", COLOURS)
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("pix_fmt", ["yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le"])
def test_other_depths_and_subsamplings(tmp_path, pix_fmt, full_range, rgb):
    clip = write_clip(
        tmp_path / "c.mp4",
        [solid(rgb, "bt709", full_range, pix_fmt)],
        pix_fmt=pix_fmt,
        colorspace=1,
        color_range=2 if full_range else 1,
    )
    image = first(clip)
    assert (image.matrix, image.full_range) == ("bt709", full_range)
    assert_colour(image, rgb)


@pytest.mark.parametrize("pix_fmt", ["nv12", "yuyv422", "yuva420p"])
def test_packed_and_interleaved_formats(tmp_path, pix_fmt):
    frame = solid(COLOURS[0], "bt601", False).reformat(format=pix_fmt)
    codec = "ffv1" if pix_fmt == "yuva420p" else "rawvideo"
    clip = write_clip(tmp_path / "c.nut", [frame], codec=codec, pix_fmt=pix_fmt, options={})
    assert_colour(first(clip), COLOURS[0])


def test_motion_jpeg_is_full_range(tmp_path):
    frame = solid(COLOURS[0], "bt601", True, "yuvj420p")
    clip = write_clip(
        tmp_path / "c.avi", [frame], codec="mjpeg", pix_fmt="yuvj420p", options={"qscale": "1"}
    )
    image = first(clip)
    assert image.full_range
    assert_colour(image, COLOURS[0], tolerance=4)


@pytest.mark.parametrize("codec", ["ffv1", "libx264rgb"])
@pytest.mark.parametrize("rgb", COLOURS)
def test_rgb_video(tmp_path, codec, rgb):
    pix_fmt = "bgr0" if codec == "ffv1" else "rgb24"
    pixels = np.broadcast_to(np.uint8(rgb), (48, 64, 3)).copy()
    frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=pix_fmt)
    options = LOSSLESS if codec == "libx264rgb" else {}
    clip = write_clip(tmp_path / "c.mkv", [frame], codec=codec, pix_fmt=pix_fmt, options=options)
    image = first(clip)
    assert (image.matrix, image.full_range) == ("bt709", False)
    assert_colour(image, rgb)


@pytest.mark.parametrize(("tag", "full_range"), [(1, False), (2, True), (None, True)])
def test_grey_keeps_its_levels_and_its_range(tmp_path, tag, full_range):
    frame = fill(av.VideoFrame(64, 48, "gray"), 90)
    clip = write_clip(
        tmp_path / "c.mkv", [frame], codec="ffv1", pix_fmt="gray", options={}, color_range=tag
    )
    image = first(clip)
    assert image.full_range == full_range
    assert set(image.y.ravel()) == {90}
    assert set(image.u.ravel()) == set(image.v.ravel()) == {128}


def test_hdr_is_noted(tmp_path):
    def tagged():
        frame = solid(COLOURS[0], "bt2020", False, "yuv420p10le")
        frame.color_trc = 16  # SMPTE 2084, "PQ"
        yield frame

    clip = tmp_path / "hdr.mp4"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=LOSSLESS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        stream.codec_context.color_trc = 16
        container.mux(stream.encode(next(tagged())))
        container.mux(stream.encode(None))
    with open_source(clip) as source:
        assert "HDR (PQ)" in source.notes[0]


@pytest.mark.parametrize("mirror_y", [False, True])
@pytest.mark.parametrize("mirror_x", [False, True])
@pytest.mark.parametrize("transpose", [False, True])
def test_every_orientation_turns_a_plane_as_its_matrix_says(transpose, mirror_x, mirror_y):
    plane = np.arange(6, dtype=np.uint8).reshape(2, 3)
    turned = Orientation(transpose, mirror_x, mirror_y).plane(plane)
    height, width = (3, 2) if transpose else (2, 3)
    assert turned.shape == (height, width)
    for row in range(height):
        for column in range(width):
            y = height - 1 - row if mirror_y else row
            x = width - 1 - column if mirror_x else column
            assert turned[row, column] == (plane[x, y] if transpose else plane[y, x])
