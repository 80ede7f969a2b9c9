"""CamVid in the layout of the SegNet tutorial: 367 train, 101 val and 233 test images, 480x360.

    train/ val/ test/                  images (PNG, or WebP or JPEG of the same stem)
    trainannot/ valannot/ testannot/   8-bit PNG of class ids, 11 = unlabelled
    train.txt val.txt test.txt         one image a line: a stem, or "image label" paths

Brostow et al. 2008, https://doi.org/10.1016/j.patrec.2008.04.005; the 11 classes are those of
Badrinarayanan et al. 2015, https://arxiv.org/abs/1511.00561.
"""

from __future__ import annotations

from pathlib import Path

from rtseg.classes import CAMVID, IGNORE
from rtseg.training.datasets.decoding import IdDecoder
from rtseg.training.datasets.layout import Layout, always
from rtseg.training.datasets.listing import Listing, found

SPLITS = ("train", "val", "test")
UNLABELLED = 11


def _listing(root: Path, split: str) -> Listing:
    """In the order of the list."""
    lines = (root / f"{split}.txt").read_text().splitlines()
    names = tuple(Path(line.split()[0]).stem for line in lines if line.strip())
    images = found(root / split, ".png", ".webp", ".jpg")
    return Listing(names, images, found(root / f"{split}annot", ".png"))


LAYOUT = Layout(
    name="camvid",
    title="CamVid",
    shape="train.txt, train/ and trainannot/, and the same for val and test",
    matches=lambda root: any((root / f"{split}.txt").is_file() for split in SPLITS),
    splits=lambda root: tuple(s for s in SPLITS if (root / f"{s}.txt").is_file()),
    listing=_listing,
    classes=always(CAMVID),
    decode=always(IdDecoder({**{i: i for i in range(11)}, UNLABELLED: IGNORE})),
)
