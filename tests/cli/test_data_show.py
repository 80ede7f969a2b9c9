"""`rtseg data show`: the sheet, what is on it, and what it refuses."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from rtseg.classes import CAMVID
from rtseg.cli.data_show import pick
from rtseg.overlay import BACKDROP
from rtseg.training.contact_sheet import CELL, GAP, blended, contact_sheet, hatch
from rtseg.training.datasets import Sample, open_split

STEMS = [f"street_{i}" for i in range(5)]
STAGES = "stages=[{until=1.0, crop=[60, 80], scale=[0.5, 0.5]}]"


@pytest.fixture
def camvid(tmp_path) -> Path:
    """Five images in CamVid's layout: grey sky above a road, a strip of ignored pixels between."""
    root = tmp_path / "camvid"
    for name in ("train", "trainannot"):
        (root / name).mkdir(parents=True)
    (root / "train.txt").write_text("\n".join(STEMS) + "\n")
    labels = np.repeat(np.uint8([0, 11, 3]), [30, 10, 20])[:, None].repeat(80, 1)
    for i, stem in enumerate(STEMS):
        cv2.imwrite(
            str(root / "train" / f"{stem}.png"), np.full((60, 80, 3), 40 * i + 40, np.uint8)
        )
        cv2.imwrite(str(root / "trainannot" / f"{stem}.png"), labels)
    return root


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.array(image)


def sample(height: int = 60, width: int = 80, label: int = 3, name: str = "a") -> Sample:
    return Sample(
        name, np.full((height, width, 3), 100, np.uint8), np.full((height, width), label, np.uint8)
    )


def test_the_sheet_shows_every_image_once(rtseg, camvid, tmp_path) -> None:
    done = rtseg("data", "show", "--data", camvid)
    assert done.code == 0, done.err
    assert done.out.strip() == "sheet.png: CamVid train: 5 of 5 images, seed 0"
    sheet = read(tmp_path / "sheet.png")
    for i in range(5):
        grey = (sheet == 40 * i + 40).all(2).sum()
        assert grey >= CELL * (CELL * 60 // 80)
    assert not list(tmp_path.glob("*.tmp"))


def test_seed_and_count_choose(rtseg, camvid, tmp_path) -> None:
    sheets = []
    for name, seed in (("a.png", 1), ("b.png", 1), ("c.png", 3)):
        done = rtseg("data", "show", "--data", camvid, "--count", 2, "--seed", seed, "-o", name)
        assert done.code == 0, done.err
        sheets.append((tmp_path / name).read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]
    chosen = [
        tuple(s.name for s in pick(open_split(camvid, "train"), 2, seed)) for seed in range(9)
    ]
    assert len(set(chosen)) > 3
    assert all(list(names) == sorted(names) and len(names) == 2 for names in chosen)


def test_augmented_versions_stand_beside_the_image(rtseg, camvid, tmp_path) -> None:
    pytest.importorskip("torch")
    args = ("data", "show", "--data", camvid, "--count", 1, "--augment")
    done = rtseg(*args, "--set", STAGES, "--set", "augment.colour=0", "-o", "a.png")
    assert done.code == 0, done.err
    sheet = read(tmp_path / "a.png")
    assert sheet.shape[1] >= 4 * CELL + 3 * GAP
    first = 20 + np.arange(4) * (CELL + GAP)  # left edges, behind the margin
    below = sheet[-sheet.shape[0] // 3 :]  # the lower half of the tiles
    hatched = [np.isin(below[:, x : x + CELL], (0, 110)).all(2).mean() for x in first]
    assert all(share > 2 * hatched[0] for share in hatched[1:])  # outside the shrunken image


def test_versions_are_those_of_training_and_say_what_was_drawn() -> None:
    pytest.importorskip("torch")
    from rtseg.training.augmentation.preview import description, versions
    from rtseg.training.recipe_files import load_recipe

    one = ["stages=[{until=1.0, crop=[60, 80], scale=[1.0, 1.0]}]", "augment.rotation=0"]
    recipe = load_recipe("dilanet-m", [*one, "augment.colour=0", "augment.cutout=0.5"])
    labels = np.tile(np.arange(8, dtype=np.uint8).repeat(10), (60, 1))
    blue = np.full((60, 80, 3), (200, 60, 20), np.uint8)
    plain = [Sample(str(i), blue, labels) for i in range(4)]
    seen = set()
    for row in versions(plain, recipe, 2):
        assert len(row) == 3
        for version in row:
            kept = version.labels != 255
            expected = labels[:, ::-1] if "mirrored" in version.name else labels
            assert (version.labels == expected)[kept].all()
            np.testing.assert_array_equal(version.image[kept], blue[kept])
            assert version.name.startswith("stage 1: zoom 1.00, ")
            seen.add(("mirrored" in version.name, bool(kept.all())))
    assert seen == {(a, b) for a in (True, False) for b in (True, False)}
    assert description(recipe) == [
        "augmentation: flip, cutout 0.5", "stage 1: 80x60, zoom 1 to 1"
    ]  # fmt: skip
    stages = load_recipe("dilanet-m")
    assert len(versions(plain[:1], stages, 0)[0]) == len(stages.stages) == 3


def test_without_augment_no_torch_is_needed(rtseg, camvid, tmp_path, monkeypatch) -> None:
    for module in [m for m in sys.modules if m.split(".")[0] == "torch" or "augmentation" in m]:
        monkeypatch.delitem(sys.modules, module)
    real = builtins.__import__

    def no_torch(name, *args, **kwargs):
        if name.split(".")[0] == "torch":
            raise ImportError("No module named 'torch'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_torch)
    assert rtseg("data", "show", "--data", camvid, "-o", "a.png").code == 0
    done = rtseg("data", "show", "--data", camvid, "-o", "b.png", "--augment")
    assert done.code == 1
    assert 'pip install "rtseg[train]"' in done.err
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--split", "all"), "unknown CamVid split"),
        (("--split", "val"), "it has train"),
        (("-o", "sheet.jpg"), "ends in .png"),
        (("-o", "none/sheet.png"), "does not exist"),
        (("-o", "old.png"), "exists already"),
        (("-o", "old.png", "-y", "-n"), "contradict"),
        (("--recipe", "dilanet-m"), "add --augment"),
        (("--set", "augment.flip=false"), "add --augment"),
        (("--augment", "--recipe", "none"), "no recipe 'none'"),
        (("--augment", "--set", "augment.rotate=3"), "augment.rotate"),
        (("--count", "0"), "--count"),
    ],
)
def test_it_refuses_and_writes_nothing(rtseg, camvid, tmp_path, args, says) -> None:
    (tmp_path / "old.png").write_text("precious")
    before = sorted(tmp_path.rglob("*"))
    done = rtseg("data", "show", "--data", camvid, *args)
    assert done.code == 2
    assert says in done.err
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "old.png").read_text() == "precious"


def test_it_replaces_only_what_is_no_part_of_the_data(rtseg, camvid, tmp_path) -> None:
    (tmp_path / "old.png").write_text("old")
    assert rtseg("data", "show", "--data", camvid, "-o", "old.png", "-y").code == 0
    assert read(tmp_path / "old.png").ndim == 3
    image = camvid / "train" / f"{STEMS[0]}.png"
    before = image.read_bytes()
    done = rtseg("data", "show", "--data", camvid, "-o", image, "-y")
    assert done.code == 2
    assert "input itself" in done.err
    assert image.read_bytes() == before


# The picture


def test_labels_are_blended_and_ignored_pixels_hatched() -> None:
    road = blended(sample(), CAMVID, (80, 60))
    colour = np.array(CAMVID.labels[3].colour[::-1])
    np.testing.assert_allclose(road[5, 5], 0.6 * colour + 0.4 * 100, atol=2)
    ignored = blended(sample(label=255), CAMVID, (80, 60))
    assert (ignored == hatch(80, 60)[..., None]).all()
    assert 0.2 < (ignored > 0).mean() < 0.3


def test_pictures_of_other_shapes_keep_theirs() -> None:
    assert blended(sample(60, 120), CAMVID, (80, 60)).shape == (40, 80, 3)
    assert blended(sample(300, 100), CAMVID, (80, 60)).shape == (60, 20, 3)


def test_tiles_are_aligned() -> None:
    """Bright pictures on the dark sheet: their edges are the same in all rows and columns."""
    white = Sample("", np.full((60, 80, 3), 255, np.uint8), np.full((60, 80), 6, np.uint8))
    sheet = np.array(contact_sheet([[white, white]] * 2, CAMVID, ["t"]))
    ground = (sheet == BACKDROP[:3]).all(2)
    body = (sheet == 255).all(2)
    columns = np.flatnonzero(np.diff(body.any(0).astype(int))) + 1
    rows = np.flatnonzero(np.diff((body.sum(1) > CELL).astype(int))) + 1
    assert columns.tolist() == [20, 20 + CELL, 20 + CELL + GAP, 20 + 2 * CELL + GAP]
    assert (np.diff(rows)[::2] == CELL * 60 // 80).all()
    assert len(rows) == 4
    assert ground[:20].all()
    assert ground[-20:].all()
    assert ground[:, :20].all()
    assert ground[:, -20:].all()


def test_a_long_title_makes_the_sheet_wider() -> None:
    narrow, wide = (contact_sheet([[sample()]], CAMVID, ["x" * n]) for n in (3, 90))
    assert narrow.width == CELL + 40
    assert wide.width > 2 * narrow.width
    assert narrow.height > wide.height  # its legend takes more lines


@pytest.mark.data
def test_real_camvid(rtseg, data, tmp_path) -> None:
    assert rtseg("data", "show", "--data", data / "camvid", "--count", 2).code == 0
    assert read(tmp_path / "sheet.png").std() > 30
