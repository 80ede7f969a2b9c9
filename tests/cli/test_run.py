"""`rtseg run` from end to end: what it writes and what it says."""

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
from drive import FAST, stamps


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


def test_neither_torch_nor_cuda_is_imported(tmp_path) -> None:
    code = (
        "import sys; sys.argv = ['rtseg', 'run', 'synthetic:96x64@30?frames=2', '--size', '96x64'];"
        "from rtseg.cli import main; main();"
        "sys.exit(any(name in sys.modules for name in ('torch', 'numba.cuda.api')))"
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
