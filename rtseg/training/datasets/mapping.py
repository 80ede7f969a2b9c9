"""Between label sets: a model of one measured on data of another, in classes that both have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rtseg.classes import CAMVID, IGNORE, LabelSet
from rtseg.errors import RecipeError
from rtseg.training.datasets.tables.cityscapes import CITYSCAPES

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Common(NamedTuple):
    """classes: those that both sides are brought to. of_model, of_data: (256,) uint8 tables from
    each side's ids to theirs; 255 for ids that are no class."""

    classes: LabelSet
    of_model: NDArray[np.uint8]
    of_data: NDArray[np.uint8]


TO_CAMVID: Mapping[str, Mapping[str, str]] = {
    CITYSCAPES.name: {
        "road": "road",
        "sidewalk": "pavement",
        "building": "building",
        "wall": "building",
        "fence": "fence",
        "pole": "pole",
        "traffic light": "sign",
        "traffic sign": "sign",
        "vegetation": "tree",
        "terrain": "tree",
        "sky": "sky",
        "person": "pedestrian",
        "rider": "bicyclist",
        "car": "car",
        "truck": "car",
        "bus": "car",
        "train": "car",
        "motorcycle": "bicyclist",
        "bicycle": "bicyclist",
    },
    CAMVID.name: {name: name for name in CAMVID.names},
}
"""Coarser classes, by SegNet's own merging of CamVid's 32: walls are buildings there, grass is
"VegetationMisc" and so tree, trucks, buses and trains are cars, motorcycles bicyclists, traffic
lights signs."""


def common(model: LabelSet, data: LabelSet) -> Common:
    """The classes in which a model of one label set can be measured on data of another.

    The same names in any order: the data's own classes. Else CamVid's, where both have a mapping
    to them. Raises RecipeError where there is none.
    """
    if sorted(model.names) == sorted(data.names):
        same = {name: name for name in data.names}
        return Common(data, _table(model, same, data), _table(data, same, data))
    try:
        of_model, of_data = TO_CAMVID[model.name], TO_CAMVID[data.name]
    except KeyError as exc:
        raise RecipeError(
            f"the model has the classes {model.name}, the data {data.name}, and there is no "
            f"mapping between them; expected the same names, or two of {', '.join(TO_CAMVID)}"
        ) from exc
    return Common(CAMVID, _table(model, of_model, CAMVID), _table(data, of_data, CAMVID))


def _table(labels: LabelSet, names: Mapping[str, str], target: LabelSet) -> NDArray[np.uint8]:
    ids = {label.name: label.id for label in target}
    table = np.full(256, IGNORE, np.uint8)
    for label in labels:
        table[label.id] = ids[names[label.name]]
    return table
