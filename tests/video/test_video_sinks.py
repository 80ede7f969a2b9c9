"""Class maps, JSON lines, and the sink that keeps nothing."""

import json
import subprocess
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from clips import result_of
from numpy.testing import assert_array_equal
from PIL import Image
from processes import program

from rtseg.errors import OutputError
from rtseg.frame import Frame
from rtseg.video.sinks import JsonlSink, MaskSink, NullSink, Sink
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
    with open_source(tmp_path) as source, MaskSink(tmp_path / "m", names=source.stems) as sink:
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
    with pytest.raises(OutputError, match="cannot be used"):
        MaskSink(tmp_path / "m")


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
    assert sink.written == 3
