"""`rtseg export`: what the model file says of its training."""

from __future__ import annotations

import json

import pytest

from rtseg.model import Model

pytest.importorskip("torch")
from rtseg.training.weights import load_weights, pack_weights

RECIPE = {"data": "camvid", "splits": ["train"], "weights": None}
SAID = (("CamVid train", "CamVid val"), "ImageNet")


@pytest.mark.parametrize(
    ("recipe", "args", "expected"),
    [
        (None, (), ((), None)),
        (RECIPE, (), (("CamVid train",), "none")),
        (None, ("--trained-on", SAID[0][0], "--trained-on", SAID[0][1], "--pretraining", SAID[1]),
         SAID),
        (RECIPE, ("--pretraining", "ImageNet"), (("CamVid train",), "ImageNet")),
    ],
)  # fmt: skip
def test_options_come_before_the_run_folder(
    rtseg, tmp_path, monkeypatch, recipe, args, expected
) -> None:
    model, seen = Model.load("dilanet-s"), []

    def export(weights, out, **values):
        seen.append(values["provenance"])
        return model.contract

    monkeypatch.setattr("rtseg.training.export.export", export)
    network, name, classes = load_weights(model.path.with_suffix(".safetensors"))
    silent = pack_weights(network.state_dict(), name, classes)  # without the shipped statements
    (tmp_path / "w.safetensors").write_bytes(silent)
    if recipe:
        (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    done = rtseg("export", "w.safetensors", "-o", "m.onnx", *args)
    assert done.code == 0, done.err
    assert seen == [expected]
