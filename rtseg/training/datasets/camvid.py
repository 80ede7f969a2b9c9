"""CamVid in the layout of the SegNet tutorial: 367 train, 101 val and 233 test images, 480x360.

    train/ val/ test/                  images (PNG, or WebP of the same stem)
    trainannot/ valannot/ testannot/   8-bit PNG of class ids, 11 = unlabelled
    train.txt val.txt test.txt         one image a line: a stem, or "image label" paths

Brostow et al. 2008, https://doi.org/10.1016/j.patrec.2008.04.005; the 11 classes are those of
Badrinarayanan et al. 2015, https://arxiv.org/abs/1511.00561.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from rtseg.classes import CAMVID, IGNORE
from rtseg.errors import RecipeError
from rtseg.training.datasets.samples import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPLITS = ("train", "val", "test")
UNLABELLED = 11


class CamVid:
    """One split; iterating reads the files in the order of the list.

    Raises RecipeError for an unknown split or a directory without that layout.
    """

    classes = CAMVID

    def __init__(self, root: str | Path, split: str) -> None:
        if split not in SPLITS:
            raise RecipeError(f"unknown CamVid split {split!r}; expected one of {SPLITS}")
        self.root, self.split = Path(root), split
        listing = self.root / f"{split}.txt"
        if not listing.is_file():
            raise RecipeError(
                f"{self.root} is not CamVid in the SegNet layout: {listing.name} is missing; "
                f"expected {split}.txt, {split}/ and {split}annot/"
            )
        lines = listing.read_text().splitlines()
        self.stems = [Path(line.split()[0]).stem for line in lines if line.strip()]
        if not self.stems:
            raise RecipeError(f"{listing} names no image; expected one a line")

    def __len__(self) -> int:
        return len(self.stems)

    def __iter__(self) -> Iterator[Sample]:
        for stem in self.stems:
            image = _read(self._image_path(stem), "RGB")[..., ::-1]
            labels = train_ids(_read(self.root / f"{self.split}annot" / f"{stem}.png", None))
            if labels.shape != image.shape[:2]:
                raise RecipeError(
                    f"{stem}: image is {image.shape[1]}x{image.shape[0]}, "
                    f"labels are {labels.shape[1]}x{labels.shape[0]}"
                )
            yield Sample(stem, np.ascontiguousarray(image), labels)

    def _image_path(self, stem: str) -> Path:
        for suffix in (".png", ".webp", ".jpg"):
            path = self.root / self.split / f"{stem}{suffix}"
            if path.is_file():
                return path
        raise RecipeError(f"no image {stem} (.png, .webp or .jpg) in {self.root / self.split}")


def train_ids(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) stored ids → train ids: 11 (unlabelled) becomes 255. Raises on any other id."""
    worst = int(labels.max())
    if labels.ndim != 2 or worst > UNLABELLED:
        raise RecipeError(
            f"a label map of shape {labels.shape} with id {worst}; expected (H, W) ids 0–11"
        )
    return np.where(labels == UNLABELLED, np.uint8(IGNORE), labels)


def _read(path: Path, mode: str | None) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            return np.array(image.convert(mode) if mode else image, np.uint8)
    except (OSError, UnidentifiedImageError) as exc:
        raise RecipeError(f"cannot read {path}: {exc}; expected an image") from exc
