"""Label sets: what the class ids of a model mean, and how they are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from rtseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

IGNORE = 255
"""Ignore index: unlabelled in ground truth, "no answer" in a prediction."""

Group: TypeAlias = Literal[
    "drivable", "walkable", "vehicle", "vulnerable", "object", "structure", "nature", "sky"
]


@dataclass(frozen=True, slots=True)
class Label:
    """One class: train id, name, colour (R, G, B, each 0–255) and the group it acts in."""

    id: int
    name: str
    colour: tuple[int, int, int]
    group: Group


@dataclass(frozen=True, slots=True)
class LabelSet:
    """An ordered set of classes; the ids are 0 … n-1, in order."""

    name: str
    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        ids = [label.id for label in self.labels]
        names = [label.name for label in self.labels]
        if not 1 <= len(ids) < IGNORE or ids != list(range(len(ids))):
            raise ValueError(f"class ids {ids}; expected 0 … n-1 in order, at most {IGNORE - 1}")
        if len(set(names)) != len(names):
            raise ValueError(f"class names {names} are not unique")

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Label]:
        return iter(self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)

    def ids(self, names: Iterable[str]) -> tuple[int, ...]:
        """Ids of class or group names. Raises InputError for a name that is neither."""
        found: set[int] = set()
        for name in names:
            matches = {label.id for label in self.labels if name in (label.name, label.group)}
            if not matches:
                groups = sorted({label.group for label in self.labels})
                raise InputError(
                    f"unknown class {name!r}; classes are {', '.join(self.names)}; "
                    f"groups are {', '.join(groups)}"
                )
            found |= matches
        return tuple(sorted(found))

    def palette(self) -> NDArray[np.uint8]:
        """(256, 3) uint8 BGR colours by id; ids that are no class are black."""
        table = np.zeros((256, 3), np.uint8)
        for label in self.labels:
            table[label.id] = label.colour[::-1]
        return table


# fmt: off
CAMVID = LabelSet("camvid-11", (
    #     id  name           colour (RGB)     group
    Label( 0, "sky",        ( 70, 130, 180), "sky"),
    Label( 1, "building",   (110, 110, 110), "structure"),
    Label( 2, "pole",       (200, 200, 160), "object"),
    Label( 3, "road",       (128,  64, 160), "drivable"),
    Label( 4, "pavement",   (244,  60, 200), "walkable"),
    Label( 5, "tree",       ( 85, 150,  40), "nature"),
    Label( 6, "sign",       (240, 200,   0), "object"),
    Label( 7, "fence",      (190, 140, 100), "structure"),
    Label( 8, "car",        ( 20,  60, 230), "vehicle"),
    Label( 9, "pedestrian", (230,  30,  50), "vulnerable"),
    Label(10, "bicyclist",  (250, 120,  20), "vulnerable"),
))
"""CamVid's 11 classes of the SegNet split (Badrinarayanan et al., https://arxiv.org/abs/1511.00561),
in that split's order. Brostow et al. 2008, http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/"""
# fmt: on
