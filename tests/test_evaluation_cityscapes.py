"""Equal to the official Cityscapes script on the same predictions."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from rtseg.metrics import ConfusionMatrix

official = pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
from cityscapesscripts.helpers.labels import labels  # noqa: E402

EVALUATED = [label for label in labels if not label.ignoreInEval]
IDS = [label.id for label in labels if label.id >= 0]
BUS, TRAIN = (next(label.id for label in labels if label.name == name) for name in ("bus", "train"))


def made(seed: int, shape: tuple[int, int] = (40, 60)) -> tuple[np.ndarray, np.ndarray]:
    """Label ids of truth and prediction: ignored ids in both, a bus only in the prediction, a
    train in neither."""
    rng = np.random.default_rng(seed)
    truth = rng.choice([i for i in IDS if i not in (BUS, TRAIN)], shape)
    prediction = np.where(rng.random(shape) < 0.6, truth, rng.permuted(truth, axis=1))
    prediction[rng.random(shape) < 0.05] = BUS
    return truth.astype(np.uint8), prediction.astype(np.uint8)


def train_ids(file: str) -> np.ndarray:
    """Of a PNG of label ids; 255 for those that are not evaluated."""
    table = np.full(256, 255, np.uint8)
    for label in EVALUATED:
        table[label.id] = label.trainId
    return table[np.asarray(Image.open(file))]


@pytest.fixture
def tree(tmp_path) -> tuple[list[str], list[str]]:
    """Truth and predictions as PNG of label ids, laid out as Cityscapes has them."""
    files: tuple[list[str], list[str]] = [], []
    for seed in range(3):
        for kind, ids, names in zip(("gtFine_labelIds", "pred"), made(seed), files, strict=True):
            path = tmp_path / kind / "val" / "aachen" / f"aachen_{seed:06}_000019_{kind}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(ids).save(path)
            names.append(str(path))
    return files


def test_iou_is_that_of_the_official_script(tree, monkeypatch) -> None:
    for key, value in (("quiet", True), ("JSONOutput", False), ("evalInstLevelScore", False)):
        monkeypatch.setattr(official.args, key, value)
    truth, predicted = tree
    theirs = official.evaluateImgLists(predicted, truth, official.args)
    matrix = ConfusionMatrix(len(EVALUATED))
    for true, found in zip(truth, predicted, strict=True):
        matrix.add(train_ids(true), train_ids(found))
    scores = [theirs["classScores"][label.name] for label in EVALUATED]
    np.testing.assert_allclose(matrix.iou(), scores, rtol=0, atol=1e-12)
    assert matrix.miou() == pytest.approx(theirs["averageScoreClasses"], rel=0, abs=1e-12)
    by_name = dict(zip([label.name for label in EVALUATED], matrix.iou(), strict=True))
    assert by_name["bus"] == 0
    assert np.isnan(by_name["train"])
    assert matrix.counts[:, -1].sum() > 0  # ignored ids predicted on labelled pixels
    ours = matrix.counts[:, :-1].ravel().tolist()
    whole = np.array(theirs["confMatrix"])
    ids = [label.id for label in EVALUATED]
    assert ours == whole[np.ix_(ids, ids)].ravel().tolist()
