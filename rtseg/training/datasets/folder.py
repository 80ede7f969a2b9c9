"""A plain folder of images and label maps of the same names, with a file that names the classes.

    images/NAME.jpg (or .png, .webp), masks/NAME.png          one split, "all"
    images/SPLIT/NAME.jpg, masks/SPLIT/NAME.png               a split for each folder
    classes.toml

classes.toml:

    name = "farm"                 # of the label set
    ignore = [0]                  # stored ids that are no class; 255 always is
    [[classes]]                   # train ids are given in this order, from 0
    id = 1                        # as stored in the masks
    name = "road"
    colour = [128, 64, 128]       # RGB, how it is drawn
    group = "drivable"            # drivable, walkable, vehicle, vulnerable, object, structure, …
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rtseg.classes import IGNORE, Group, Label, LabelSet
from rtseg.errors import RecipeError
from rtseg.training.datasets.decoding import Decode, IdDecoder
from rtseg.training.datasets.layout import Layout
from rtseg.training.datasets.listing import Listing, found, matched, subfolders

CLASSES = "classes.toml"
Byte = Annotated[int, Field(ge=0, le=255)]


class _Class(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Byte
    name: str = Field(min_length=1)
    colour: tuple[Byte, Byte, Byte]
    group: Group


class _Classes(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    ignore: tuple[Byte, ...] = ()
    classes: tuple[_Class, ...] = Field(min_length=1, max_length=254)


def _read(root: Path) -> _Classes:
    path = root / CLASSES
    try:
        table = _Classes.model_validate(tomllib.loads(path.read_text()))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise RecipeError(f"cannot read {path}: {exc}") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise RecipeError(f"{path}: {key}: {first['msg']}, got {first['input']!r}") from exc
    stored = [c.id for c in table.classes] + list(table.ignore)
    if len(set(stored)) != len(stored):
        raise RecipeError(f"{path}: an id occurs twice among {sorted(stored)}")
    return table


def _classes(root: Path) -> LabelSet:
    table = _read(root)
    rows = (Label(i, c.name, c.colour, c.group) for i, c in enumerate(table.classes))
    try:
        return LabelSet(table.name, tuple(rows))
    except ValueError as exc:
        raise RecipeError(f"{root / CLASSES}: {exc}") from exc


def _decode(root: Path) -> Decode:
    table = _read(root)
    ids = {c.id: i for i, c in enumerate(table.classes)}
    return IdDecoder({**dict.fromkeys(table.ignore, IGNORE), **ids})


def _listing(root: Path, split: str) -> Listing:
    below = "" if split == "all" else split
    images = found(root / "images" / below, ".png", ".jpg", ".jpeg", ".webp")
    return matched(images, found(root / "masks" / below, ".png"))


LAYOUT = Layout(
    name="folder",
    title="Folder",
    shape=f"images/, masks/ and {CLASSES}",
    matches=lambda root: all((root / n).is_dir() for n in ("images", "masks")),
    splits=lambda root: subfolders(root / "images", ("train", "val", "test")) or ("all",),
    listing=_listing,
    classes=_classes,
    decode=_decode,
)
