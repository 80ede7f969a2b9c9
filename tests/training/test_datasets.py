"""Data sets in their official layouts: found, told apart, decoded, and refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import trees
from PIL import Image

from rtseg.classes import CAMVID
from rtseg.errors import RecipeError
from rtseg.training.datasets import open_split
from rtseg.training.datasets.registry import LAYOUTS, find_layout
from rtseg.training.datasets.selection import parse
from rtseg.training.datasets.tables import camvid32, cityscapes, idd
from rtseg.training.datasets.tables.mapillary import V1_2

CASES = [
    # tree, layout, split, names, train ids of the first six columns
    (trees.camvid, "camvid", "train", ["0001TP_train"], [0, 10, 255, 0, 10, 255]),
    (trees.camvid32, "camvid32", "all", ["0001TP_006690", "Seq05VD_f00000"],
     [0, 3, 10, 255, 1, 4]),
    (trees.camvid32_repacked, "camvid32", "val", ["val_1"], [5] * 6),
    (trees.cityscapes, "cityscapes", "train",
     ["aachen/aachen_000000_000019", "bochum/bochum_000000_000019"], [0, 18, 255, 11, 9, 255]),
    (trees.bdd100k, "bdd100k", "val", ["val-0004974f"], [0, 18, 255, 0, 18, 255]),
    (trees.kitti, "kitti", "training", ["000000_10", "000001_10"], [0, 13, 255, 0, 13, 255]),
    (trees.mapillary, "mapillary", "training", ["_1Gn_xkw7sa"], [0, 13, 255, 0, 13, 255]),
    (lambda root: trees.mapillary(root, "v1.1"), "mapillary", "validation", ["_1Gn_xkw7sa"],
     [0, 13, 255, 0, 13, 255]),
    (lambda root: trees.mapillary(root, "v2.0"), "mapillary", "training", ["_1Gn_xkw7sa"],
     [10, 13, 11, 10, 13, 11]),
    (trees.idd, "idd", "train", ["0/024541"], [0, 255, 9, 10, 0, 255]),
    (trees.idd, "idd", "val", ["119/024541"], [0, 255, 9, 10, 0, 255]),
    (trees.folder, "folder", "all", ["a"], [0, 1, 255, 0, 1, 255]),
    (lambda root: trees.folder(root, "train", "val"), "folder", "val", ["a"],
     [0, 1, 255, 0, 1, 255]),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "layout", "split", "names", "row"), CASES)
def test_layouts(tmp_path, tree, layout, split, names, row) -> None:
    root = tree(tmp_path / "data")
    assert find_layout(root).name == layout
    samples = open_split(root, split)
    assert list(samples.names) == names
    first = samples[0]
    assert first.image.shape == (4, 6, 3)
    assert first.labels.dtype == np.uint8
    assert first.labels.tolist() == [row] * 4
    assert len(list(samples)) == len(names)
    assert np.array_equal(open_split(root, split, layout)[0].labels, first.labels)
    again = pickle.loads(pickle.dumps(samples))  # reading processes get a copy
    assert np.array_equal(again[0].labels, first.labels)


def test_every_layout_has_a_case() -> None:
    assert {case[1] for case in CASES} == {layout.name for layout in LAYOUTS}


# Tables


def test_the_tables_are_whole() -> None:
    assert [i for i, *_ in cityscapes.IDS] == list(range(34))
    assert {name for *_, name in cityscapes.IDS} == {*cityscapes.CITYSCAPES.names, None}
    assert [i for i, *_ in idd.IDS] == list(range(40))
    assert {name for *_, name in idd.IDS} == {*cityscapes.CITYSCAPES.names, None}
    assert len(V1_2) == 66
    assert {name for _, name in V1_2} == {*cityscapes.CITYSCAPES.names, None}
    assert len({colour for colour, *_ in camvid32.COLOURS}) == 32
    assert {name for *_, name in camvid32.COLOURS} == {*CAMVID.names, None}


# What is wrong


@pytest.mark.parametrize(("tree", "layout", "split", "names", "row"), CASES)
def test_a_split_that_is_not_there(tmp_path, tree, layout, split, names, row) -> None:
    root = tree(tmp_path / "data")
    with pytest.raises(RecipeError, match=rf"split 'nothing' in .*; it has .*{split}"):
        open_split(root, "nothing")


def test_folders_that_are_no_data_set(tmp_path) -> None:
    with pytest.raises(RecipeError, match="the layout of no known data set; expected one of"):
        open_split(tmp_path, "train")
    with pytest.raises(RecipeError, match="no folder"):
        open_split(tmp_path / "nowhere", "train")
    with pytest.raises(RecipeError, match="unknown data set 'camvit'"):
        open_split(tmp_path, "train", "camvit")
    with pytest.raises(RecipeError, match=r"is not KITTI semantics: expected training/image_2/"):
        open_split(tmp_path, "training", "kitti")


def test_missing_files_are_named(tmp_path) -> None:
    root = trees.cityscapes(tmp_path)
    label = root / "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png"
    label.unlink()
    with pytest.raises(RecipeError, match=r"no label map for .*aachen_000000_000019_leftImg8bit"):
        open_split(root, "train")
    root = trees.kitti(tmp_path / "k")
    (root / "training/image_2/000001_10.png").unlink()
    with pytest.raises(RecipeError, match=r"no image for .*semantic.000001_10.png \(1 of 2"):
        open_split(root, "training")
    root = trees.camvid(tmp_path / "c")
    (root / "train" / "0001TP_train.png").unlink()
    (root / "trainannot" / "0001TP_train.png").unlink()
    with pytest.raises(RecipeError, match="no image 0001TP_train"):
        open_split(root, "train")
    with pytest.raises(RecipeError, match=r"no label map for .*cabc30fc.jpg"):
        open_split(trees.bdd100k(tmp_path / "b"), "test")


def test_empty_splits(tmp_path) -> None:
    root = trees.cityscapes(tmp_path)
    (root / "leftImg8bit" / "test").mkdir()
    with pytest.raises(RecipeError, match="split test is empty"):
        open_split(root, "test")
    root = trees.camvid(tmp_path / "c")
    (root / "val.txt").write_text("\n\n")
    with pytest.raises(RecipeError, match="split val is empty"):
        open_split(root, "val")


def test_files_that_cannot_be_used_are_named(tmp_path) -> None:
    root = trees.camvid(tmp_path)
    trees.ids(root / "valannot" / "0001TP_val.png", 3, 12)
    with pytest.raises(RecipeError, match=r"valannot.0001TP_val.png: the id 12 .*\(12 pixels"):
        open_split(root, "val")[0]
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(root / "trainannot" / "0001TP_train.png")
    with pytest.raises(RecipeError, match=r"train.png is 6x4, its labels .* are 4x4"):
        open_split(root, "train")[0]
    (root / "test" / "0001TP_test.png").write_bytes(b"nothing")
    with pytest.raises(RecipeError, match=r"cannot read .*0001TP_test.png"):
        open_split(root, "test")[0]
    trees.colours(root / "testannot" / "0001TP_test.png", (1, 2, 3))
    with pytest.raises(RecipeError, match=r"a label map of mode RGB; expected one 8-bit id"):
        open_split(root, "test").labels(0)


def test_foreign_colours_are_named(tmp_path) -> None:
    root = trees.camvid32(tmp_path)
    trees.colours(root / "LabeledApproved_full/0001TP_006690_L.png", (128, 128, 128), (1, 2, 3))
    with pytest.raises(RecipeError, match=r"the colour \(1, 2, 3\) is not in .*\(12 pixels"):
        open_split(root, "all")[0]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("id = 4", "id = 9", "an id occurs twice"),
        ('name = "crop"', 'name = "track"', "not unique"),
        ("group = ", "kind = ", "group"),
        ('name = "farm"', "name = [", "cannot read"),
        ("id = 4", "id = 400", "classes.1.id"),
    ],
)
def test_class_files_are_checked(tmp_path, old, new, says) -> None:
    root = trees.folder(tmp_path)
    path = root / "classes.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(RecipeError, match=rf"classes.toml.*{says}|{says}.*classes.toml"):
        open_split(root, "all")
    path.unlink()
    with pytest.raises(RecipeError, match=r"cannot read .*classes.toml"):
        open_split(root, "all")


def test_mapillarys_list_of_labels_is_checked(tmp_path) -> None:
    root = trees.mapillary(tmp_path, "v2.0")
    (root / "config_v2.0.json").write_text('{"labels": [1]}')
    with pytest.raises(RecipeError, match=r"config_v2.0.json is not Mapillary's list"):
        open_split(root, "training")


# Parts of a split


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("train", ("train", (), 1)),
        ("val::5", ("val", (), 5)),
        ("train:a+b", ("train", ("a", "b"), 1)),
        ("train:a::2", ("train", ("a",), 2)),
    ],
)
def test_the_grammar(text, parts) -> None:
    assert parse(text) == parts


@pytest.mark.parametrize("text", ["", "train:", "train::", "train::0", "train::x", "a:b:c", "::3"])
def test_what_the_grammar_refuses(text) -> None:
    with pytest.raises(RecipeError, match="expected a name, such as train, val::5"):
        parse(text)


def test_parts(tmp_path) -> None:
    for name in ("0001TP_1", "0001TP_2", "0001TP_3", "0016E5_1", "0016E55_1"):
        trees.image(tmp_path / "images" / f"{name}.png")
        trees.ids(tmp_path / "masks" / f"{name}.png", 9)
    (tmp_path / "classes.toml").write_text(trees.CLASSES)
    every = open_split(tmp_path, "all::2")
    assert every.names == ("0001TP_1", "0001TP_3", "0016E5_1")
    assert every.split == "all::2"
    assert open_split(tmp_path, "all:0016E5").names == ("0016E5_1",)
    assert open_split(tmp_path, "all:0001TP+0016E55::3").names == ("0001TP_1", "0016E55_1")
    with pytest.raises(RecipeError, match=r"no sequence '0002'; there are 0001TP, 0016E5, 0016E55"):
        open_split(tmp_path, "all:0002")


@pytest.mark.data
@pytest.mark.parametrize(("split", "count"), [("train", 367), ("val", 101), ("test", 233)])
def test_real_camvid(data, split, count) -> None:
    samples = open_split(data / "camvid", split)
    assert len(samples) == count
    assert samples[0].image.shape == (360, 480, 3)
    assert set(np.unique(samples[0].labels)) <= {*range(11), 255}
