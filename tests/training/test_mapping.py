"""Between label sets."""

from __future__ import annotations

import numpy as np
import pytest

from rtseg.classes import CAMVID, IGNORE, LabelSet
from rtseg.errors import RecipeError
from rtseg.metrics import ConfusionMatrix
from rtseg.training.datasets.mapping import common
from rtseg.training.datasets.tables.cityscapes import CITYSCAPES


def renumbered(labels: LabelSet, name: str, step: int) -> LabelSet:
    """The same classes in an order that starts `step` further on."""
    rows = [labels.labels[(i + step) % len(labels)] for i in range(len(labels))]
    return LabelSet(name, tuple(type(r)(i, r.name, r.colour, r.group) for i, r in enumerate(rows)))


def test_a_set_with_itself_is_left_alone() -> None:
    for labels in (CAMVID, CITYSCAPES):
        found = common(labels, labels)
        assert found.classes == labels
        for table in (found.of_model, found.of_data):
            assert table[: len(labels)].tolist() == list(range(len(labels)))
            assert (table[len(labels) :] == IGNORE).all()


def test_another_order_goes_by_name() -> None:
    other = renumbered(CAMVID, "other", 4)
    found = common(other, CAMVID)
    assert found.classes == CAMVID
    assert [CAMVID.names[i] for i in found.of_model[:11]] == list(other.names)


def test_cityscapes_and_camvid_meet_in_camvids_classes() -> None:
    there, back = common(CITYSCAPES, CAMVID), common(CAMVID, CITYSCAPES)
    assert there.classes == back.classes == CAMVID
    assert np.array_equal(there.of_model, back.of_data)
    assert np.array_equal(there.of_data, back.of_model)
    names = dict(zip(CITYSCAPES.names, (CAMVID.names[i] for i in there.of_model[:19]), strict=True))
    assert set(names.values()) == set(CAMVID.names)
    expected = {
        "terrain": "tree", "rider": "bicyclist", "motorcycle": "bicyclist", "wall": "building",
        "traffic light": "sign", "bus": "car", "person": "pedestrian", "sidewalk": "pavement",
    }  # fmt: skip
    assert {key: names[key] for key in expected} == expected


def test_a_perfect_model_stays_perfect_both_ways() -> None:
    for model, data in ((CITYSCAPES, CAMVID), (CAMVID, CITYSCAPES)):
        found = common(model, data)
        truth = np.random.default_rng(0).integers(0, len(data), (40, 50)).astype(np.uint8)
        truth[0] = IGNORE
        answers = {int(c): i for i, c in enumerate(found.of_model[: len(model)])}
        predicted = np.vectorize(lambda c, a=answers: a[int(c)])(
            found.of_data[np.where(truth == IGNORE, 0, truth)]
        ).astype(np.uint8)
        matrix = ConfusionMatrix(len(found.classes))
        matrix.add(found.of_data[truth], found.of_model[predicted])
        assert matrix.miou() == 1
        assert matrix.counts.sum() == (truth != IGNORE).sum()


def test_sets_that_have_nothing_in_common() -> None:
    farm = LabelSet("farm", CAMVID.labels[:2])
    with pytest.raises(RecipeError, match=r"the classes farm, the data camvid-11, .*no mapping"):
        common(farm, CAMVID)
