"""CamVid in the layout of the SegNet tutorial: 367 train, 101 val and 233 test images, 480x360.

    train/ val/ test/                  images (PNG, or WebP of the same stem)
    trainannot/ valannot/ testannot/   8-bit PNG of class ids, 11 = unlabelled
    train.txt val.txt test.txt         one image a line: a stem, or "image label" paths

Brostow et al. 2008, https://doi.org/10.1016/j.patrec.2008.04.005; the 11 classes are those of
Badrinarayanan et al. 2015, https://arxiv.org/abs/1511.00561.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rtseg.classes import CAMVID, IGNORE
from rtseg.errors import RecipeError
from rtseg.training.datasets.samples import Pair, Split

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

SPLITS = ("train", "val", "test")
UNLABELLED = 11


def matches(root: Path) -> bool:
    """Whether the folder has this layout."""
    return any((root / f"{split}.txt").is_file() for split in SPLITS)


def open_split(root: Path, split: str) -> Split:
    """One split, in the order of its list.

    Raises RecipeError for an unknown split, or a directory without that layout.
    """
    if split not in SPLITS:
        raise RecipeError(f"unknown CamVid split {split!r}; expected one of {SPLITS}")
    listing = root / f"{split}.txt"
    if not listing.is_file():
        raise RecipeError(
            f"{root} is not CamVid in the SegNet layout: {listing.name} is missing; "
            f"expected {split}.txt, {split}/ and {split}annot/"
        )
    lines = listing.read_text().splitlines()
    pairs = tuple(_pair(root, split, Path(line.split()[0]).stem) for line in lines if line.strip())
    if not pairs:
        raise RecipeError(f"{listing} names no image; expected one a line")
    return Split("CamVid", split, CAMVID, pairs, train_ids)


def _pair(root: Path, split: str, stem: str) -> Pair:
    labels = root / f"{split}annot" / f"{stem}.png"
    for suffix in (".png", ".webp", ".jpg"):
        path = root / split / f"{stem}{suffix}"
        if path.is_file():
            return Pair(stem, path, labels)
    raise RecipeError(f"no image {stem} (.png, .webp or .jpg) in {root / split}")


def train_ids(file: Image.Image) -> NDArray[np.uint8]:
    """A stored label map → train ids: 11 (unlabelled) becomes 255. Raises on any other id."""
    labels = np.asarray(file, np.uint8)
    worst = int(labels.max())
    if labels.ndim != 2 or worst > UNLABELLED:
        raise ValueError(
            f"a label map of shape {labels.shape} with id {worst}; expected (H, W) ids 0–11"
        )
    return np.where(labels == UNLABELLED, np.uint8(IGNORE), labels)
