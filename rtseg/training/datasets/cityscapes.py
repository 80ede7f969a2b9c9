"""Data sets with Cityscapes' 19 classes: Cityscapes itself, BDD100K, KITTI, IDD.

    Cityscapes  leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png,
                gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png
    BDD100K     images/10k/SPLIT/NAME.jpg, labels/sem_seg/masks/SPLIT/NAME.png (train ids)
    KITTI       training/image_2/NAME.png, training/semantic/NAME.png (Cityscapes' label ids)
    IDD         leftImg8bit/SPLIT/DRIVE/NAME_leftImg8bit.{png,jpg},
                gtFine/SPLIT/DRIVE/NAME_gtFine_labelids.png, as the official script makes them

Cordts et al. 2016, https://arxiv.org/abs/1604.01685; Yu et al. 2020,
https://arxiv.org/abs/1805.04687; Alhaija et al. 2018, https://arxiv.org/abs/1708.01566; Varma et
al. 2019, https://arxiv.org/abs/1811.10200.
"""

from __future__ import annotations

from pathlib import Path

from rtseg.classes import IGNORE
from rtseg.training.datasets import decoding
from rtseg.training.datasets.layout import Layout, always
from rtseg.training.datasets.listing import Listing, found, matched, subfolders
from rtseg.training.datasets.tables import cityscapes, idd

CLASSES = cityscapes.CITYSCAPES
ORDER = ("train", "val", "test")
KITTI_SPLIT = "training"
IDD_LABELS = "_gtFine_labelids.png"


def _fine(root: Path, split: str, labels: str) -> Listing:
    images = found(root / "leftImg8bit" / split, "_leftImg8bit.png", "_leftImg8bit.jpg")
    return matched(images, found(root / "gtFine" / split, labels))


def _is_idd(root: Path) -> bool:
    return next((root / "gtFine").glob(f"*/*/*{IDD_LABELS}"), None) is not None


def _is_kitti(root: Path) -> bool:
    return all((root / KITTI_SPLIT / name).is_dir() for name in ("image_2", "semantic"))


CITYSCAPES = Layout(
    name="cityscapes",
    title="Cityscapes",
    shape="leftImg8bit/ and gtFine/ with *_gtFine_labelIds.png",
    matches=lambda root: (root / "leftImg8bit").is_dir() and not _is_idd(root),
    splits=lambda root: subfolders(root / "leftImg8bit", ORDER),
    listing=lambda root, split: _fine(root, split, "_gtFine_labelIds.png"),
    classes=always(CLASSES),
    decode=always(decoding.IdDecoder(decoding.train_ids(cityscapes.IDS, CLASSES))),
)

IDD = Layout(
    name="idd",
    title="IDD",
    shape=f"leftImg8bit/ and gtFine/ with *{IDD_LABELS} (made by the official script)",
    matches=lambda root: (root / "leftImg8bit").is_dir() and _is_idd(root),
    splits=lambda root: subfolders(root / "leftImg8bit", ORDER),
    listing=lambda root, split: _fine(root, split, IDD_LABELS),
    classes=always(CLASSES),
    decode=always(decoding.IdDecoder(decoding.train_ids(idd.IDS, CLASSES))),
)

BDD100K = Layout(
    name="bdd100k",
    title="BDD100K",
    shape="images/10k/ and labels/sem_seg/masks/",
    matches=lambda root: (root / "images" / "10k").is_dir(),
    splits=lambda root: subfolders(root / "images" / "10k", ORDER),
    listing=lambda root, split: matched(
        found(root / "images" / "10k" / split, ".jpg"),
        found(root / "labels" / "sem_seg" / "masks" / split, ".png"),
    ),
    classes=always(CLASSES),
    decode=always(decoding.IdDecoder({**{i: i for i in range(len(CLASSES))}, IGNORE: IGNORE})),
)

KITTI = Layout(
    name="kitti",
    title="KITTI semantics",
    shape="training/image_2/ and training/semantic/",
    matches=_is_kitti,
    splits=always((KITTI_SPLIT,)),  # there is no official val
    listing=lambda root, split: matched(
        found(root / split / "image_2", ".png"), found(root / split / "semantic", ".png")
    ),
    classes=always(CLASSES),
    decode=always(decoding.IdDecoder(decoding.train_ids(cityscapes.IDS, CLASSES))),
)
