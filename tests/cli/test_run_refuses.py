"""What `rtseg run` refuses, and that nothing is written or lost then."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from drive import FAST, stamps


def test_overwriting_needs_leave(rtseg, clip, tmp_path) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"precious")
    for flags in ((), ("-n",)):
        done = rtseg("run", clip, "-o", target, *FAST, *flags)
        assert done.code == 2
        assert "exists already" in done.err
        assert target.read_bytes() == b"precious"
    assert rtseg("run", clip, "-o", target, "-y", "--max-frames", 2, *FAST).code == 0
    assert len(stamps(target)) == 2
    assert rtseg("run", clip, "-o", target, "-y", "-n", *FAST).code == 2


def bad_inputs() -> list[tuple[str, tuple[str, ...], str]]:
    """Name, arguments, what the message must say. `{clip}` is a good video."""
    return [
        ("missing", ("nowhere.mp4",), "nowhere.mp4"),
        ("empty folder", ("empty",), "no images|expected"),
        ("text", ("text.mp4",), "text.mp4"),
        ("empty file", ("empty.mp4",), "empty"),
        ("class", ("{clip}", "--classes", "road,lorry"), "unknown class 'lorry'"),
        ("model", ("{clip}", "--model", "resnet"), "no model 'resnet'"),
        ("damaged model", ("{clip}", "--model", "text.mp4"), "not an ONNX model"),
        ("size", ("{clip}", "--size", "161x96"), "multiples of 8.*160x96"),
        ("size form", ("{clip}", "--size", "big"), "expected WIDTHxHEIGHT"),
        ("alpha", ("{clip}", "--alpha", "1.5"), "opacity"),
        ("precision", ("{clip}", "--precision", "f8"), "auto, f16, f32 or bf16"),
        ("backend", ("{clip}", "--backend", "abacus"), "unknown backend"),
        ("preset", ("{clip}", "--preset", "warp"), "preset"),
        ("extension", ("{clip}", "-o", "out.gif"), r"\.mp4"),
        ("output folder", ("{clip}", "-o", "none/out.mp4"), "does not exist"),
        ("picture of a video", ("{clip}", "-o", "out.png"), "cannot hold a video"),
        ("stride", ("{clip}", "--vid-stride", "0"), "stride"),
        ("nothing to write", ("{clip}", "--no-overlay"), "nothing to write"),
        ("matrix", ("{clip}", "--matrix", "bt470"), "bt601, bt709, bt2020"),
        ("too many pixels", ("{clip}", "--max-pixels", "1000"), "--max-pixels"),
        ("synthetic", ("synthetic:wide",), "synthetic:1280x720@30"),
    ]


@pytest.mark.parametrize(("name", "args", "says"), bad_inputs(), ids=[b[0] for b in bad_inputs()])
def test_bad_input_is_one_sentence_and_code_2(rtseg, clip, tmp_path, name, args, says) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("not a video\n" * 100)
    (tmp_path / "empty.mp4").touch()
    before = sorted(p.name for p in tmp_path.rglob("*"))
    done = rtseg("run", *(a.format(clip=clip) for a in args))
    assert done.code == 2
    assert re.search(says, done.err), done.err
    assert done.err.startswith("rtseg: error: ")
    assert "Traceback" not in done.err
    assert sorted(p.name for p in tmp_path.rglob("*")) == before, "something was written"


@pytest.mark.parametrize(
    "args",
    [
        ("-o", "o.gif", "--jsonl", "old.jsonl", "--masks", "new", "-y"),
        ("--preset", "warp", "--jsonl", "old.jsonl", "--masks", "new", "-y"),
        ("-o", "same.mp4", "--jsonl", "same.mp4", "-y"),
        ("-o", "same.mp4", "--jsonl", "new/../same.mp4", "-y"),
        ("-o", "dangling.mp4", "--jsonl", "old.jsonl", "-y"),
        ("--classes", "", "--jsonl", "old.jsonl", "-y"),
    ],
)
def test_one_bad_output_leaves_the_others_alone(rtseg, clip, tmp_path, args) -> None:
    (tmp_path / "old.jsonl").write_text("precious")
    (tmp_path / "dangling.mp4").symlink_to("/nowhere/out.mp4")
    assert rtseg("run", clip, *args, *FAST).code == 2
    assert (tmp_path / "old.jsonl").read_text() == "precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dangling.mp4", "old.jsonl"]


def test_a_picture_does_not_take_the_place_of_its_mask(rtseg, tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((64, 96, 3), 80, np.uint8))
    (tmp_path / "res").mkdir()
    done = rtseg("run", "photo.png", "-o", "res/photo.png", "--masks", "res", *FAST)
    assert done.code == 2
    assert "folder of the masks" in done.err
    assert not list((tmp_path / "res").iterdir())


def test_the_input_as_output_is_not_advised_to_be_replaced(rtseg, clip) -> None:
    done = rtseg("run", clip, "-o", clip)
    assert done.code == 2
    assert "input itself" in done.err


@pytest.mark.parametrize(
    ("source", "args"),
    [
        ("fr/a.png", ("--masks", "fr")),
        ("fr", ("--masks", "fr", "--no-overlay")),
        ("fr", ("--jsonl", "fr/b.png")),
        ("fr/*.png", ("--jsonl", "fr/a.png")),
        ("fr/a.png", ("-o", "fr/a.png")),
    ],
)
def test_input_images_are_never_overwritten(rtseg, tmp_path, source, args) -> None:
    (tmp_path / "fr").mkdir()
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / "fr" / f"{name}.png"), np.full((64, 96, 3), 80, np.uint8))
    before = {p: p.read_bytes() for p in (tmp_path / "fr").iterdir()}
    assert rtseg("run", source, *args, "-y", *FAST).code == 2
    assert {p: p.read_bytes() for p in (tmp_path / "fr").iterdir()} == before


@pytest.mark.parametrize("link", [False, True])
def test_the_input_is_never_the_output(rtseg, clip, tmp_path, link) -> None:
    target = tmp_path / "clip.mp4"
    if link:
        target.symlink_to(clip)
    else:
        target.write_bytes(clip.read_bytes())
    before = clip.read_bytes()
    done = rtseg("run", clip if link else target, "-o", target, "-y", *FAST)
    assert done.code == 2
    assert "input itself" in done.err
    assert clip.read_bytes() == target.read_bytes() == before
