"""Mapillary Vistas, read as Cityscapes' 19 classes.

    training/images/NAME.jpg, training/labels/NAME.png        v1.1 and v1.2, config.json
    training/images/NAME.jpg, training/v1.2/labels/NAME.png    v2.0, config_v1.2.json; also with
                              training/v2.0/labels/NAME.png    config_v2.0.json

Label maps are 8-bit indices into the list of labels in the config file. Where both versions of the
labels are there, those of v1.2 are taken.
"""

from __future__ import annotations

import json
from pathlib import Path

from rtseg.classes import IGNORE
from rtseg.errors import RecipeError
from rtseg.training.datasets.decoding import Decode, IdDecoder
from rtseg.training.datasets.layout import Layout, always
from rtseg.training.datasets.listing import Listing, found, matched
from rtseg.training.datasets.tables.cityscapes import CITYSCAPES
from rtseg.training.datasets.tables.mapillary import V1_2, V2_0_ALSO

SPLITS = ("training", "validation", "testing")
VERSIONS = (("v1.2/labels", "config_v1.2.json"), ("labels", "config.json"),
            ("v2.0/labels", "config_v2.0.json"))  # fmt: skip


def _version(root: Path) -> tuple[str, str]:
    """Folder of the label maps within a split, and the config file that goes with it."""
    there = (v for v in VERSIONS if any((root / split / v[0]).is_dir() for split in SPLITS))
    return next(there, VERSIONS[1])


def _listing(root: Path, split: str) -> Listing:
    labels = root / split / _version(root)[0]
    return matched(found(root / split / "images", ".jpg"), found(labels, ".png"))


def _decode(root: Path) -> Decode:
    ids = {label.name: label.id for label in CITYSCAPES}
    classes = (class_of(name) for name in _names(root / _version(root)[1]))
    return IdDecoder({i: IGNORE if name is None else ids[name] for i, name in enumerate(classes)})


def _names(config: Path) -> list[str]:
    """The labels in order; v1.2's if there is no config file."""
    if not config.is_file():
        return [name for name, _ in V1_2]
    try:
        return [str(label["name"]) for label in json.loads(config.read_text())["labels"]]
    except (ValueError, KeyError, TypeError) as exc:
        raise RecipeError(f"{config} is not Mapillary's list of labels: {exc!r}") from exc


def class_of(name: str) -> str | None:
    """The Cityscapes class of a label, or None: by its name, else by the names it is below."""
    table = dict((*V1_2, *V2_0_ALSO))
    while name not in table and "--" in name:
        name = name.rpartition("--")[0]
    return table.get(name)


LAYOUT = Layout(
    name="mapillary",
    title="Mapillary Vistas",
    shape="training/images/ and training/labels/ (or training/v1.2/labels/)",
    matches=lambda root: any((root / split / "images").is_dir() for split in SPLITS),
    splits=lambda root: tuple(s for s in SPLITS if (root / s / "images").is_dir()),
    listing=_listing,
    classes=always(CITYSCAPES),
    decode=_decode,
)
