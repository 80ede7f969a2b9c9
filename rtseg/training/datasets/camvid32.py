"""CamVid as its authors publish it: 701 images of 960x720, 32 colours, read as SegNet's 11 classes.

    701_StillsRaw_full/NAME.png, LabeledApproved_full/NAME_L.png        one split, "all"
    train/NAME.png, train_labels/NAME_L.png, the same for val and test   as it is often repacked

SegNet's split by sequences: train is all:0016E5+0006R0+0001TP in part, test has all:Seq05VD.
"""

from __future__ import annotations

from pathlib import Path

from rtseg.classes import CAMVID, IGNORE
from rtseg.training.datasets.decoding import ColourDecoder, Decode
from rtseg.training.datasets.layout import Layout, always
from rtseg.training.datasets.listing import Listing, found, matched
from rtseg.training.datasets.tables.camvid32 import COLOURS

RAW, LABELS = "701_StillsRaw_full", "LabeledApproved_full"
REPACKED = ("train", "val", "test")


def _splits(root: Path) -> tuple[str, ...]:
    if (root / LABELS).is_dir():
        return ("all",)
    return tuple(split for split in REPACKED if (root / f"{split}_labels").is_dir())


def _listing(root: Path, split: str) -> Listing:
    images, labels = (RAW, LABELS) if split == "all" else (split, f"{split}_labels")
    return matched(found(root / images, ".png"), found(root / labels, "_L.png"))


def _decode() -> Decode:
    ids = {label.name: label.id for label in CAMVID}
    return ColourDecoder({c: IGNORE if name is None else ids[name] for c, _, name in COLOURS})


LAYOUT = Layout(
    name="camvid32",
    title="CamVid (32 colours)",
    shape=f"{RAW}/ and {LABELS}/, or train/ and train_labels/",
    matches=lambda root: bool(_splits(root)),
    splits=_splits,
    listing=_listing,
    classes=always(CAMVID),
    decode=always(_decode()),
)
