"""Still images: every mode, folders, patterns, damage."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from rtseg.errors import SourceError
from rtseg.video.images import read_image
from rtseg.video.sources import open_source

RGB = (200, 60, 40)


def save(path, colour=RGB, size=(8, 6), mode="RGB", **options):
    Image.new(mode, size, colour).save(path, **options)
    return path


def test_a_single_image_is_one_frame(tmp_path):
    with open_source(save(tmp_path / "a.png")) as source:
        frames = list(source)
    assert (source.info.kind, source.info.width, source.info.height) == ("images", 8, 6)
    assert source.info.frames == 1
    assert frames[0].image.shape == (6, 8, 3)
    assert frames[0].image[0, 0].tolist() == [40, 60, 200]


def test_one_pixel(tmp_path):
    with open_source(save(tmp_path / "a.png", size=(1, 1))) as source:
        assert next(source).image.shape == (1, 1, 3)


@pytest.mark.parametrize(
    ("mode", "colour", "bgr"),
    [
        ("L", 77, (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
        ("LA", (200, 128), (100, 100, 100)),
        ("RGBA", (200, 100, 50, 255), (50, 100, 200)),
        ("RGBA", (200, 100, 50, 128), (25, 50, 100)),
        ("RGBA", (200, 100, 50, 0), (0, 0, 0)),
        ("I;16", 40 * 257, (40, 40, 40)),
        ("CMYK", (0, 255, 255, 0), (0, 0, 255)),
    ],
)
def test_every_mode_becomes_bgr(tmp_path, mode, colour, bgr):
    path = tmp_path / ("a.tiff" if mode == "CMYK" else "a.png")
    image = read_image(save(path, colour, mode=mode))
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert_allclose(image, np.broadcast_to(bgr, (6, 8, 3)), atol=1)


def test_a_palette_with_a_transparent_colour_is_over_black(tmp_path):
    image = Image.new("P", (8, 6), 1)
    image.putpalette([10, 20, 30, 200, 60, 40])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "p.png", transparency=0)
    read = read_image(tmp_path / "p.png")
    assert read[0, 0].tolist() == [0, 0, 0]
    assert read[3, 3].tolist() == [40, 60, 200]


def test_exif_orientation_is_applied(tmp_path):
    image = Image.new("RGB", (80, 60))
    image.paste(RGB, (0, 0, 40, 30))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    with open_source(tmp_path / "a.jpg") as source:
        turned = next(source).image
        assert (source.info.width, source.info.height) == (60, 80)
    assert turned[10, 50, 2] > 150
    assert turned[10, 10, 2] < 50
    with open_source(tmp_path / "a.jpg", autorotate=False) as source:
        assert next(source).image.shape == (60, 80, 3)


def test_a_folder_is_read_in_natural_order(tmp_path):
    for number in (10, 9, 2, 1, 100):
        save(tmp_path / f"img{number}.png", (number, 0, 0))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "sub.png").mkdir()
    with open_source(tmp_path) as source:
        frames = list(source)
    assert [int(frame.image[0, 0, 2]) for frame in frames] == [1, 2, 9, 10, 100]
    assert [(frame.index, frame.pts) for frame in frames] == [(i, i) for i in range(5)]
    assert {frame.time_base for frame in frames} == {Fraction(1, 25)}
    assert source.names == ("img1", "img2", "img9", "img10", "img100")


def test_all_files_that_are_read_are_told(tmp_path, monkeypatch):
    for name in ("a1.png", "a2.png", "b1.png"):
        save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for spec, names in ((".", ["a1", "a2", "b1"]), ("a*.png", ["a1", "a2"]), ("b1.png", ["b1"])):
        with open_source(spec, vid_stride=2, max_frames=1) as source:
            assert source.info.inputs == tuple(tmp_path / f"{name}.png" for name in names)


def test_a_pattern_picks_files(tmp_path):
    for name in ("a1.png", "a2.png", "a3.jpg", "b1.png"):
        save(tmp_path / name)
    for pattern, count in (("a?.png", 2), ("*.png", 3), ("a[13].*", 2)):
        with open_source(str(tmp_path / pattern)) as source:
            assert len(list(source)) == count


def test_a_folder_with_the_signs_of_a_pattern_is_a_folder(tmp_path):
    folder = tmp_path / "run[1]"
    folder.mkdir()
    save(folder / "a.png")
    with open_source(folder) as source:
        assert len(list(source)) == 1
    with open_source(folder / "a.png") as source:
        assert len(list(source)) == 1


def test_stride_and_limit_count_images(tmp_path):
    for number in range(10):
        save(tmp_path / f"{number}.png", (number, 0, 0))
    with open_source(tmp_path, vid_stride=3, max_frames=3) as source:
        assert [(frame.index, int(frame.image[0, 0, 2])) for frame in source] == [
            (0, 0), (3, 3), (6, 6),
        ]  # fmt: skip
        assert source.info.frames == 3


def test_sizes_may_differ(tmp_path):
    save(tmp_path / "1.png", size=(8, 6))
    save(tmp_path / "2.png", size=(5, 7))
    with open_source(tmp_path) as source:
        assert [(frame.width, frame.height) for frame in source] == [(8, 6), (5, 7)]


@pytest.fixture
def cut(tmp_path):
    """A JPEG that ends in the middle, which other readers fill with grey."""
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "2.jpg")
    data = (tmp_path / "2.jpg").read_bytes()
    (tmp_path / "2.jpg").write_bytes(data[: len(data) // 2])
    return tmp_path / "2.jpg"


def test_a_cut_image_among_others_is_counted(tmp_path, cut):
    save(tmp_path / "1.png")
    save(tmp_path / "3.png")
    with open_source(tmp_path) as source:
        assert [frame.index for frame in source] == [0, 2]
    assert source.failed == 1
    assert "2.jpg cannot be read" in source.notes[0]


def test_an_image_that_was_not_wanted_has_not_failed(tmp_path, cut):
    for number in (1, 3, 4):
        save(tmp_path / f"{number}.png")
    for options, failed in (({"vid_stride": 2}, 0), ({"max_frames": 2}, 0), ({"max_frames": 4}, 1)):
        with open_source(tmp_path, **options) as source:
            frames = list(source)
        assert source.failed == failed
        assert len(frames) == {0: 2, 1: 3}[failed]


def test_a_cut_image_at_the_start_is_counted_once(tmp_path, cut):
    save(tmp_path / "3.png")
    with open_source(tmp_path) as source:
        assert [frame.index for frame in source] == [1]
    assert (source.failed, len(source.notes)) == (1, 1)


def test_a_cut_image_alone_is_an_error(cut):
    with pytest.raises(SourceError, match=r"2\.jpg cannot be read: .*truncated"):
        open_source(cut)


def test_a_folder_of_broken_images_is_an_error(tmp_path, cut):
    (tmp_path / "1.png").write_text("not a png")
    with pytest.raises(SourceError, match=r"none of 2 images can be read; the first: .*1\.png"):
        open_source(tmp_path)


def test_a_missing_image(tmp_path):
    with pytest.raises(SourceError, match=r"no such file: .*a\.png"):
        open_source(tmp_path / "a.png")


def test_bombs_are_refused_before_they_are_decoded(tmp_path):
    """48 KB that would take 1.2 GB."""
    Image.new("1", (20000, 20000)).save(tmp_path / "bomb.png")
    with pytest.raises(SourceError, match=r"more pixels than are ever decoded"):
        open_source(tmp_path / "bomb.png")
    Image.new("1", (12000, 12000)).save(tmp_path / "large.png")
    with pytest.raises(SourceError, match=r"12000x12000, more than 100000000 pixels"):
        open_source(tmp_path / "large.png")


def test_large_images_that_are_allowed_raise_no_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    assert_array_equal(read_image(save(tmp_path / "a.png")).shape, (6, 8, 3))
