"""Class maps, JSON lines, and the sink that keeps nothing."""

import json
import os
import subprocess
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
from clips import result_of
from numpy.testing import assert_array_equal
from PIL import Image
from processes import program

from rtseg.errors import OutputError, SinkError
from rtseg.frame import Frame
from rtseg.video.base import SourceInfo
from rtseg.video.sinks import JsonlSink, MaskSink, NullSink, Sink, StillSink
from rtseg.video.sources import open_source


def result(index, **options):
    image = np.full((40, 64, 3), 100, np.uint8)
    frame = Frame(image, index, index * 512, Fraction(1, 12800), options.pop("corrupt", False))
    return result_of(frame, **options)


def test_masks_are_class_ids_in_grey(tmp_path):
    results = [result(3), result(12)]
    labels = np.random.default_rng(0).integers(0, 256, (40, 64), np.uint8)
    results[1] = replace(results[1], segmentation=replace(results[1].segmentation, labels=labels))
    with MaskSink(tmp_path / "a" / "b") as sink:
        for each in results:
            sink.write(each)
    assert sink.written == 2
    assert sorted(p.name for p in sink.directory.iterdir()) == ["000003.png", "000012.png"]
    for name, each in zip(("000003", "000012"), results, strict=True):
        with Image.open(sink.directory / f"{name}.png") as image:
            assert image.mode == "L"
            assert_array_equal(np.asarray(image), each.segmentation.labels)


def test_masks_are_named_after_their_images(tmp_path):
    for name in ("b.png", "a.png", "a.jpg"):
        Image.new("RGB", (8, 6)).save(tmp_path / name)
    with open_source(tmp_path) as source, MaskSink(tmp_path / "m", names=source.names) as sink:
        for frame in source:
            sink.write(result_of(frame))
    names = sorted(path.name for path in (tmp_path / "m").iterdir())
    assert names == ["000000_a.png", "000001_a.png", "b.png"]


def test_a_folder_with_files_is_refused_unless_allowed(tmp_path):
    (tmp_path / "000000.png").write_text("precious")
    with pytest.raises(OutputError, match="is not empty; give another one"):
        MaskSink(tmp_path)
    assert (tmp_path / "000000.png").read_text() == "precious"
    with MaskSink(tmp_path, overwrite=True) as sink:
        sink.write(result(0))
    assert (tmp_path / "000000.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_is_no_folder_for_masks(tmp_path):
    (tmp_path / "m").touch()
    for folder in (tmp_path / "m", tmp_path / "m" / "n"):
        with pytest.raises(OutputError, match="cannot be used"):
            MaskSink(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_no_folder_for_masks(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    for folder in (tmp_path / "closed", tmp_path / "closed" / "m"):
        with pytest.raises(OutputError, match="nothing can be written to"):
            MaskSink(folder)


def save(path):
    Image.new("RGB", (64, 40), (200, 60, 40)).save(path)
    return path


@pytest.mark.parametrize("link", [None, "symlink_to", "hardlink_to"])
def test_no_mask_replaces_the_image_it_is_made_of(tmp_path, link):
    image = save(tmp_path / "a.png")
    folder = tmp_path
    if link:
        folder = tmp_path / "m"
        folder.mkdir()
        getattr(folder / "a.png", link)(image)
    with open_source(image) as source:
        inputs = source.info.inputs
        with pytest.raises(OutputError, match=r"a\.png is the input itself"):
            MaskSink(folder, names=source.names, inputs=inputs, overwrite=True)
        MaskSink(tmp_path / "new", names=source.names, inputs=inputs)
        MaskSink(tmp_path, names=["b"], inputs=inputs, overwrite=True)
        with pytest.raises(OutputError, match=r"a\.png is the input itself"):
            JsonlSink(image, inputs=inputs, overwrite=True)
        with pytest.raises(OutputError, match=r"a\.png is the input itself"):
            StillSink(image, info=source.info, overwrite=True)


def test_no_numbered_mask_replaces_an_input(tmp_path):
    image = save(tmp_path / "000123.png")
    with pytest.raises(OutputError, match=r"000123\.png is the input itself"):
        MaskSink(tmp_path, inputs=[image], overwrite=True)
    image = image.rename(tmp_path / "a.png")
    MaskSink(tmp_path, inputs=[image], overwrite=True)


def test_sinks_that_are_not_entered_touch_nothing(tmp_path):
    (tmp_path / "old.jsonl").write_text("precious\n")
    save(tmp_path / "old.png")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with open_source(tmp_path / "old.png") as source:
        still = replace(source.info, inputs=())
    sinks = [
        MaskSink(tmp_path / "a" / "m"),
        JsonlSink(tmp_path / "new.jsonl"),
        JsonlSink(tmp_path / "old.jsonl", overwrite=True),
        StillSink(tmp_path / "new.png", info=still),
        StillSink(tmp_path / "old.png", info=still, overwrite=True),
    ]
    for sink in sinks:
        sink.close()
        sink.close()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    for sink in sinks:
        assert (sink.written, sink.notes) == (0, [])
        with pytest.raises(ValueError, match="the sink is closed"):
            sink.write(result(0))


def test_sinks_open_at_the_first_result_too(tmp_path):
    for sink in (MaskSink(tmp_path / "m"), JsonlSink(tmp_path / "o.jsonl")):
        sink.write(result(0))
        sink.close()
    assert (tmp_path / "m" / "000000.png").stat().st_size
    assert (tmp_path / "o.jsonl").stat().st_size


# A single picture

STILL = SourceInfo("test", "images", 64, 40, frames=1)


@pytest.mark.parametrize("name", ["o.png", "o.JPG", "o.jpeg", "o.webp"])
def test_a_still_is_the_picture(tmp_path, name):
    with StillSink(tmp_path / name, info=STILL) as sink:
        sink.write(result(0))
    with Image.open(sink.path) as image:
        assert_array_equal(np.asarray(image), np.full((40, 64, 3), 100))


def test_a_still_takes_one_picture_and_keeps_it(tmp_path):
    """That there would be one was an estimate."""
    out = tmp_path / "o.png"
    with pytest.raises(SinkError, match="a picture, which cannot hold a video"):  # noqa: SIM117
        with StillSink(out, info=STILL) as sink:
            sink.write(result(0))
            data = out.read_bytes()
            sink.write(result(1))
    assert (sink.written, out.read_bytes()) == (1, data)


def test_a_still_of_nothing_is_no_file(tmp_path):
    with StillSink(tmp_path / "o.png", info=STILL):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("outcome", [(False, None), cv2.error("too large")])
def test_a_picture_that_cannot_be_coded_is_no_file(tmp_path, monkeypatch, outcome):
    def imencode(*_):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(cv2, "imencode", imencode)
    for sink in (StillSink(tmp_path / "o.png", info=STILL), MaskSink(tmp_path / "m")):
        with pytest.raises(SinkError, match="failed after 0 frames: it could not be enc"), sink:
            sink.write(result(0))
    assert [path.name for path in tmp_path.rglob("*")] == ["m"]


def test_a_still_is_of_one_frame(tmp_path):
    for frames in (2, None):
        with pytest.raises(OutputError, match=r"o\.png is a picture, which cannot hold a video"):
            StillSink(tmp_path / "o.png", info=replace(STILL, frames=frames))


def test_each_line_is_a_frame(tmp_path):
    with JsonlSink(tmp_path / "o.jsonl") as sink:
        sink.write(result(7))
        sink.write(result(8, corrupt=True, valid=False))
        lines = sink.path.read_text().splitlines()  # while the sink is open
    first, second = map(json.loads, lines)
    fractions = first.pop("fractions")
    assert first == {
        "index": 7,
        "pts": 3584,
        "time_base": "1/12800",
        "seconds": 0.28,
        "stages": {"decode": 1.235},
        "flags": [],
    }
    assert (fractions["sky"], fractions["road"], fractions["car"]) == (0.25, 0.75, 0)
    assert second["flags"] == ["corrupt", "invalid"]


def test_a_frame_without_a_time(tmp_path):
    with JsonlSink(tmp_path / "o.jsonl") as sink:
        sink.write(result_of(Frame(np.zeros((4, 4, 3), np.uint8))))
    line = json.loads(sink.path.read_text())
    assert (line["pts"], line["seconds"]) == (None, None)


def test_lines_that_exist_are_kept_unless_allowed(tmp_path):
    out = tmp_path / "o.jsonl"
    out.write_text("precious\n")
    with pytest.raises(OutputError, match="exists already"):
        JsonlSink(out)
    assert out.read_text() == "precious\n"
    with JsonlSink(out, overwrite=True) as sink:
        sink.write(result(0))
    assert json.loads(out.read_text())["index"] == 0


def test_a_full_disk_leaves_whole_lines(tmp_path):
    body = """
        import resource
        from rtseg.video.sinks import JsonlSink
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        try:
            with JsonlSink(sys.argv[1]) as sink:
                for result in results():
                    sink.write(result)
        except SinkError as error:
            print(sink.written, error, sep="\\n")
    """
    out = tmp_path / "o.jsonl"
    run = subprocess.run(program(body, out), capture_output=True, text=True, timeout=60, check=True)
    written, message = run.stdout.splitlines()
    assert f"writing {out} failed after {written} frames: File too large" in message
    lines = out.read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(int(written)))
    assert len(lines) > 5


def test_nothing_is_kept():
    sink: Sink
    with NullSink() as sink:
        for index in range(3):
            sink.write(result(index))
    assert (sink.written, sink.notes) == (3, [])
