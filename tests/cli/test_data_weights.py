"""`rtseg data weights` on a small data set in CamVid's layout."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtseg.classes import CAMVID
from rtseg.training.recipe_files import load_recipe

ROWS = {"train": [0, 0, 0, 3], "val": [8, 8, 8, 8], "test": [11, 11, 11, 11]}


@pytest.fixture
def camvid(tmp_path) -> Path:
    """One image of 4x1 pixels a split, labelled with `ROWS`."""
    root = tmp_path / "camvid"
    for split, row in ROWS.items():
        for folder in (root / split, root / f"{split}annot"):
            folder.mkdir(parents=True)
        (root / f"{split}.txt").write_text("a\n")
        cv2.imwrite(str(root / split / "a.png"), np.zeros((1, 4, 3), np.uint8))
        cv2.imwrite(str(root / f"{split}annot" / "a.png"), np.array([row], np.uint8))
    return root


def test_the_table_shows_pixels_shares_and_weights(rtseg, camvid) -> None:
    done = rtseg("data", "weights", "--data", camvid)
    assert done.code == 0, done.err
    sky = re.search(r"sky +(.*)", done.out)[1].split()
    log = [f"{1 / math.log(offset + 0.75):.4g}" for offset in (1.10, 1.02)]
    assert sky == ["3", "75.000", *log, f"{1 / 1.5:.4g}", f"{0.5 / 0.75:.4g}"]
    assert re.search(r"car +0 +0\.000", done.out)
    assert "4 labelled pixels, 1 images of train" in done.out


def test_the_line_goes_into_a_recipe(rtseg, camvid) -> None:
    out = rtseg("data", "weights", "--data", camvid).out
    line = next(text for text in out.splitlines() if text.startswith("losses = "))
    assert load_recipe("dilanet-s", [line]).losses[0].class_weights == "log"


def test_json_has_the_same_numbers(rtseg, camvid) -> None:
    done = rtseg(
        "data", "weights", "--data", camvid, "--split", "train", "--split", "val", "--json"
    )
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result["splits"] == ["train", "val"]
    assert result["classes"] == list(CAMVID.names)
    assert result["pixels"] == [3, 0, 0, 1, 0, 0, 0, 0, 4, 0, 0]
    assert result["images"] == [1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0]
    assert result["share"][8] == 0.5
    assert set(result["weights"]) == {"log 1.10", "log 1.02", "inverse", "median"}
    # f: sky 3/4, road 1/4, car 4/4; the median is 3/4.
    median = [result["weights"]["median"][i] for i in (0, 3, 8, 1)]
    assert median == pytest.approx([1.0, 3.0, 0.75, 3.0])


def test_a_split_named_twice_counts_once(rtseg, camvid) -> None:
    args = ("data", "weights", "--data", camvid, "--json", "--split", "val")
    assert rtseg(*args, "--split", "val").out == rtseg(*args).out


@pytest.mark.parametrize(
    ("split", "says"), [("all", "unknown CamVid split"), ("test", "no labelled pixel in test")]
)
def test_it_refuses(rtseg, camvid, split, says) -> None:
    done = rtseg("data", "weights", "--data", camvid, "--split", split)
    assert done.code == 2
    assert says in done.err
    assert not done.out


def test_it_needs_no_torch(camvid) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        f"sys.argv = ['rtseg', 'data', 'weights', '--data', {str(camvid)!r}]\n"
        "from rtseg.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "pedestrian" in done.stdout


@pytest.mark.data
def test_shares_of_the_real_data_add_up(rtseg, data) -> None:
    result = json.loads(
        rtseg("data", "weights", "--data", data / "camvid", "--split", "val", "--json").out
    )
    assert sum(result["share"]) == pytest.approx(1)
    assert max(result["images"]) == 101
    assert max(result["share"]) == result["share"][CAMVID.names.index("road")]
