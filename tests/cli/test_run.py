"""`rtseg run` from end to end: what it writes, what it says, what it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

FAST = ("--size", "160x96")


def stamps(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [f.pts * f.time_base for f in container.decode(video=0)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """A short drive with frames at uneven times."""
    from rtseg.synthetic import Scene

    path = tmp_path_factory.mktemp("clips") / "drive.mp4"
    scene = Scene(192, 112, seed=3)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 192, 112, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 600)
        for i in range(24):
            frame = av.VideoFrame.from_ndarray(scene.render(i)[0], "bgr24")
            frame.pts, frame.time_base = i * 20 + (i % 3) * 5, Fraction(1, 600)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_video_masks_and_log(rtseg, clip, tmp_path) -> None:
    done = rtseg("run", clip, "-o", "out.mp4", "--masks", "masks", "--jsonl", "log.jsonl", *FAST)
    assert done.code == 0, done.err
    assert "24 frames in = 24 written + 0 dropped + 0 failed" in done.out
    assert stamps(tmp_path / "out.mp4") == stamps(clip)
    masks = sorted((tmp_path / "masks").iterdir())
    assert len(masks) == 24
    mask = cv2.imread(str(masks[5]), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (112, 192)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["index"] for row in rows] == list(range(24))
    assert rows[7]["pts"] * Fraction(rows[7]["time_base"]) == stamps(clip)[7]
    road = (mask == 3).mean()
    assert rows[5]["fractions"]["road"] == pytest.approx(road, abs=1e-4)


def test_the_default_name_is_beside_where_it_runs(rtseg, clip, tmp_path) -> None:
    assert rtseg("run", clip, "--max-frames", 3, *FAST).code == 0
    assert len(stamps(tmp_path / "drive_seg.mp4")) == 3


def test_no_overlay_writes_no_video(rtseg, clip, tmp_path) -> None:
    done = rtseg("run", clip, "--no-overlay", "--masks", "m", "--vid-stride", 5, *FAST)
    assert done.code == 0
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == [
        f"{i:06d}.png" for i in range(0, 24, 5)
    ]
    assert not list(tmp_path.glob("*.mp4"))


def test_hidden_classes_leave_the_picture(rtseg, clip, tmp_path) -> None:
    args = ("run", clip, "--max-frames", 1, "--crf", 1, "--no-legend", "--alpha", 1, *FAST)
    assert rtseg(*args, "--classes", "road,vulnerable", "-o", "some.mp4").code == 0
    assert rtseg(*args, "-o", "all.mp4").code == 0

    def first(path: Path) -> np.ndarray:
        with av.open(str(path)) as container:
            return next(container.decode(video=0)).to_ndarray(format="bgr24").astype(int)

    plain, some, everything = first(clip), first(tmp_path / "some.mp4"), first(tmp_path / "all.mp4")
    sky = np.s_[:15, 80:110]
    assert np.abs(some[sky] - plain[sky]).mean() < 6
    assert np.abs(everything[sky] - plain[sky]).mean() > 12


def test_a_single_image_and_a_folder(rtseg, tmp_path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for name in ("b10.png", "b9.png"):
        cv2.imwrite(str(folder / name), np.full((64, 96, 3), 80, np.uint8))
    done = rtseg("run", folder, "--masks", "m", *FAST)
    assert done.code == 0, done.err
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["b10.png", "b9.png"]
    assert (tmp_path / "frames_seg.mp4").is_file()
    assert rtseg("run", folder / "b9.png", "--no-overlay", "--masks", "one", *FAST).code == 0
    assert [p.name for p in (tmp_path / "one").iterdir()] == ["b9.png"]


def test_a_picture_of_a_picture(rtseg, tmp_path) -> None:
    source = np.full((64, 96, 3), 80, np.uint8)
    cv2.imwrite(str(tmp_path / "photo.png"), source)
    done = rtseg("run", "photo.png", "-o", "seen.png", "--alpha", 0, *FAST)
    assert done.code == 0, done.err
    assert done.out.count("1 frame in = 1 written") == 1
    assert (cv2.imread(str(tmp_path / "seen.png")) == source).all()


def test_the_synthetic_scene(rtseg, tmp_path) -> None:
    done = rtseg("run", "synthetic:128x96@30?frames=4", *FAST)
    assert done.code == 0, done.err
    assert len(stamps(tmp_path / "synthetic_seg.mp4")) == 4


def test_names_with_brackets_are_shown_as_they_are(rtseg, clip, tmp_path) -> None:
    name = tmp_path / "dash[cam] [b].mp4"
    name.write_bytes(clip.read_bytes())
    done = rtseg("run", name, "--max-frames", 2, *FAST)
    assert done.code == 0, done.err
    assert "dash[cam] [b].mp4" in done.out
    assert "wrote dash[cam] [b]_seg.mp4" in done.out


def test_quiet_prints_nothing(rtseg, clip) -> None:
    done = rtseg("run", clip, "--quiet", "--max-frames", 2, *FAST)
    assert (done.code, done.out, done.err) == (0, "", "")


def test_an_unforeseen_error_is_one_sentence(rtseg, clip, tmp_path, monkeypatch) -> None:
    from rtseg.overlay import Overlay

    def broken(*_: object) -> None:
        raise ZeroDivisionError("in the painter")

    monkeypatch.setattr(Overlay, "paint", broken)
    done = rtseg("run", clip, *FAST)
    assert done.code == 1
    assert re.fullmatch(r"rtseg: internal error: ZeroDivisionError: in the painter; .*\n", done.err)
    monkeypatch.setenv("RTSEG_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        rtseg("run", clip, "-y", *FAST)


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
        ("precision", ("{clip}", "--precision", "f8"), "auto, f32 or bf16"),
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


def child(*args: object, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rtseg", *map(str, args)], cwd=cwd, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_file(tmp_path, number, code) -> None:
    args = ("run", "synthetic:128x96@30", "--max-frames", 100_000, "--jsonl", "log.jsonl", *FAST)
    with child(*args, cwd=tmp_path) as process:
        log, deadline = tmp_path / "log.jsonl", time.monotonic() + 60
        while not log.exists() or log.read_text().count("\n") < 20:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, number)
        start = time.monotonic()
        out, err = process.communicate(timeout=30)
        assert time.monotonic() - start < 5
    assert process.returncode == code, err
    written = int(re.search(r"= (\d+) written", out)[1])
    assert len(stamps(tmp_path / "synthetic_seg.mp4")) == written
    assert log.read_text().count("\n") == written


def test_torch_is_never_imported(tmp_path) -> None:
    code = (
        "import sys; sys.argv = ['rtseg', 'run', 'synthetic:96x64@30?frames=2', '--size', '96x64'];"
        "from rtseg.cli import main; main();"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "synthetic_seg.mp4").is_file()


@pytest.mark.data
def test_a_real_dashcam_video_keeps_its_times(rtseg, data, tmp_path) -> None:
    source = data / "video" / "highway_960x540.mp4"
    assert rtseg("run", source, "-o", "out.mp4", "--size", "320x176").code == 0
    assert stamps(tmp_path / "out.mp4") == stamps(source)
    assert len(stamps(source)) == 221
