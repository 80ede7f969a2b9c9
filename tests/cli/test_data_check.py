"""`rtseg data check` on a data set with one of everything that can be wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def camvid(tmp_path) -> Path:
    """Two images in train and one in val; sky above, road below."""
    root = tmp_path / "camvid"
    for split, names in (("train", ("a", "b")), ("val", ("c",))):
        for name in names:
            write(root / split / f"{name}.png", ord(name))
            labels(root / f"{split}annot" / f"{name}.png", 0, 3, 3, 11)
        (root / f"{split}.txt").write_text("\n".join(names))
    return root


def write(path: Path, grey: int, size: tuple[int, int] = (8, 12)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*size, 3), grey, np.uint8))


def labels(path: Path, *rows: int, width: int = 12) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.repeat(np.uint8(rows), 2)[:, None].repeat(width, 1))


def test_a_whole_data_set(rtseg, camvid) -> None:
    done = rtseg("data", "check", camvid)
    assert done.code == 0, done.err
    assert "CamVid in" in done.out
    assert "train: 2 images 12x8" in done.out
    assert "val: 1 images 12x8" in done.out
    assert "nothing wrong" in done.out
    rows = {line.split()[1]: line.split()[2:] for line in done.out.splitlines() if "■" in line}
    assert rows["sky"] == ["33.33", "33.33"]
    assert rows["road"] == ["66.67", "66.67"]
    assert rows["car"] == ["0.00", "0.00"]


def spoil(root: Path) -> None:
    names = ["a", "b", "gone", "bare", "broken", "foreign", "small", "twice"]
    (root / "train.txt").write_text("\n".join(names))
    for name in ("bare", "foreign", "small"):
        write(root / "train" / f"{name}.png", len(name))
    (root / "train" / "broken.png").write_bytes(b"no picture")
    write(root / "train" / "twice.png", ord("c"))  # the picture of val
    labels(root / "trainannot" / "gone.png", 3, 3, 3, 3)
    labels(root / "trainannot" / "broken.png", 3, 3, 3, 3)
    labels(root / "trainannot" / "foreign.png", 3, 3, 77, 3)
    labels(root / "trainannot" / "small.png", 3, 3, 3, 3, width=10)
    labels(root / "trainannot" / "twice.png", 3, 3, 3, 3)


EXPECTED = {
    "image missing": "gone",
    "label map missing": "bare",
    "image unreadable": "broken.png",
    "label map unusable": "foreign.png",
    "sizes differ": "small.png",
    "in two splits": "c.png",
}


def test_all_that_can_be_wrong_in_one_pass(rtseg, camvid) -> None:
    spoil(camvid)
    done = rtseg("data", "check", camvid, "--json")
    assert done.code == 1
    report = json.loads(done.out)
    findings = [f for split in report["splits"] for f in split["findings"]]
    assert {f["kind"]: Path(f["what"]).name for f in findings} == EXPECTED
    assert len(findings) == len(EXPECTED)
    details = {f["kind"]: f["detail"] for f in findings}
    assert "the id 77" in details["label map unusable"]
    assert details["sizes differ"] == "image 12x8, label map 10x8"
    assert details["in two splits"] == "the same picture as twice in train"
    train = report["splits"][0]
    assert (train["listed"], train["images"]) == (8, 3)  # a, b, twice
    assert train["sizes"] == {"12x8": 3}
    assert train["pixels"][3] == 2 * 48 + 96


def test_findings_are_grouped_for_people(rtseg, camvid) -> None:
    spoil(camvid)
    done = rtseg("data", "check", camvid)
    assert done.code == 1
    for kind, name in EXPECTED.items():
        assert f"{kind}: 1" in done.out
        assert name in done.out
    assert "6 findings" in done.out
    (camvid / "train.txt").write_text("\n".join(f"n{i}" for i in range(9)))
    done = rtseg("data", "check", camvid, "--split", "train")
    assert "image missing: 9" in done.out
    assert "… and 4 more" in done.out


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("nowhere",), "no folder nowhere"),
        ((".",), "no known data set"),
        (("camvid", "--split", "test"), "unknown CamVid split 'test'"),
        (("camvid", "--dataset", "kitti"), "is not KITTI semantics"),
    ],
)
def test_it_refuses(rtseg, camvid, args, says) -> None:
    done = rtseg("data", "check", *args)
    assert done.code == 2
    assert says in done.err
    assert not done.out


def test_it_needs_no_torch(camvid) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        f"sys.argv = ['rtseg', 'data', 'check', {str(camvid)!r}]\n"
        "from rtseg.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
