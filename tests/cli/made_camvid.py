"""A small data set in CamVid's layout, for tests of commands that read one."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from rtseg.synthetic import labelled_frames


@cache
def frames() -> list[tuple[np.ndarray, np.ndarray]]:
    """Four, rendered once."""
    return list(labelled_frames(4, 160, 120))


def small_camvid(root: Path, count: int = 4) -> Path:
    """The first `count` of them as split test, the first one as val."""
    for split, names in (("test", range(count)), ("val", range(1))):
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        (root / f"{split}.txt").write_text("".join(f"{i}\n" for i in names))
        for i, (image, labels) in enumerate(frames()[: len(names)]):
            cv2.imwrite(str(root / split / f"{i}.png"), image)
            stored = np.where(labels == 255, np.uint8(11), labels)
            cv2.imwrite(str(root / f"{split}annot" / f"{i}.png"), stored)
    return root
