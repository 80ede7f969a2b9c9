"""Tiny data sets in the official layouts: 4x6 images, label maps made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SHAPE = (4, 6)


def image(path: Path, grey: int = 100, shape: tuple[int, int] = SHAPE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*shape, 3), grey, np.uint8)).save(path)
    return path


def ids(path: Path, *values: int, mode: str = "L") -> Path:
    """A label map whose columns go through `values`, again and again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    row = np.resize(np.array(values, np.uint8), SHAPE[1])
    file = Image.fromarray(np.tile(row, (SHAPE[0], 1)))
    if mode == "P":
        file = _indexed(file)
    file.save(path)
    return path


def _indexed(file: Image.Image) -> Image.Image:
    """The same numbers as indices of a palette, as Mapillary stores them."""
    indexed = Image.frombytes("P", file.size, file.tobytes())
    indexed.putpalette([v for i in range(256) for v in (i, 255 - i, 7)])
    return indexed


def colours(path: Path, *values: tuple[int, int, int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    row = np.resize(np.array(values, np.uint8), (SHAPE[1], 3))
    Image.fromarray(np.tile(row, (SHAPE[0], 1, 1))).save(path)
    return path


def camvid(root: Path) -> Path:
    for split in ("train", "val", "test"):
        name = f"0001TP_{split}"
        image(root / split / f"{name}.png", len(split))
        ids(root / f"{split}annot" / f"{name}.png", 0, 10, 11)
        (root / f"{split}.txt").write_text(
            f"/SegNet/CamVid/{split}/{name}.png /SegNet/CamVid/{split}annot/{name}.png\n"
        )
    return root


def camvid32(root: Path) -> Path:
    for i, name in enumerate(("0001TP_006690", "Seq05VD_f00000")):
        image(root / "701_StillsRaw_full" / f"{name}.png", i)
        colours(
            root / "LabeledApproved_full" / f"{name}_L.png",
            (128, 128, 128), (192, 0, 64), (192, 0, 192), (0, 0, 0), (64, 0, 64), (64, 192, 128),
        )  # fmt: skip
    return root


def camvid32_repacked(root: Path) -> Path:
    for split in ("train", "val", "test"):
        image(root / split / f"{split}_1.png")
        colours(root / f"{split}_labels" / f"{split}_1_L.png", (128, 128, 0))
    return root


def cityscapes(root: Path) -> Path:
    for split, city in (("train", "aachen"), ("train", "bochum"), ("val", "frankfurt")):
        stem = f"{city}_000000_000019"
        image(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png")
        fine = root / "gtFine" / split / city
        ids(fine / f"{stem}_gtFine_labelIds.png", 7, 33, 3, 24, 22, 9)
        ids(fine / f"{stem}_gtFine_instanceIds.png", 1)  # lies beside it, is not read
        (fine / f"{stem}_gtFine_polygons.json").write_text("{}")
    return root


def bdd100k(root: Path) -> Path:
    for split in ("train", "val"):
        image(root / "images" / "10k" / split / f"{split}-0004974f.jpg")
        ids(root / "labels/sem_seg/masks" / split / f"{split}-0004974f.png", 0, 18, 255)
    image(root / "images" / "10k" / "test" / "cabc30fc.jpg")  # labels are not published
    return root


def kitti(root: Path) -> Path:
    for i in range(2):
        image(root / "training" / "image_2" / f"00000{i}_10.png")
        ids(root / "training" / "semantic" / f"00000{i}_10.png", 7, 26, 0)
        colours(root / "training" / "semantic_rgb" / f"00000{i}_10.png", (0, 0, 0))
    image(root / "testing" / "image_2" / "000000_10.png")
    return root


def mapillary(root: Path, version: str = "v1.2") -> Path:
    below, config = {
        "v1.1": ("labels", "config.json"),
        "v1.2": ("v1.2/labels", "config_v1.2.json"),
        "v2.0": ("v2.0/labels", "config_v2.0.json"),
    }[version]
    for split in ("training", "validation"):
        image(root / split / "images" / "_1Gn_xkw7sa.jpg", 10 * len(split))
        ids(root / split / below / "_1Gn_xkw7sa.png", 13, 55, 65, mode="P")
    if version == "v2.0":
        names = [f"void--{i}" for i in range(124)]
        names[13], names[55], names[65] = "nature--sky", "object--vehicle--car", "human--person--x"
        labels = ", ".join(f'{{"name": "{name}", "readable": "x"}}' for name in names)
        (root / config).write_text(f'{{"labels": [{labels}]}}')
    return root


def idd(root: Path) -> Path:
    for split, drive, suffix in (("train", "0", "png"), ("val", "119", "jpg")):
        image(root / "leftImg8bit" / split / drive / f"024541_leftImg8bit.{suffix}")
        ids(root / "gtFine" / split / drive / "024541_gtFine_labelids.png", 0, 11, 5, 33)
    return root


CLASSES = """
name = "farm"
ignore = [0]
[[classes]]
id = 9
name = "track"
colour = [128, 64, 128]
group = "drivable"
[[classes]]
id = 4
name = "crop"
colour = [10, 200, 10]
group = "nature"
"""


def folder(root: Path, *splits: str) -> Path:
    for split in splits or ("",):
        image(root / "images" / split / "a.jpg")
        ids(root / "masks" / split / "a.png", 9, 4, 0)
    (root / "classes.toml").write_text(CLASSES)
    return root
