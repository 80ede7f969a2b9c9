"""Weights and checkpoints as predictors, and what they say of their training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from made_runs import make_camvid, recipe  # noqa: E402

from rtseg.classes import CAMVID, LabelSet  # noqa: E402
from rtseg.errors import EngineError, ModelError  # noqa: E402
from rtseg.evaluation import evaluate  # noqa: E402
from rtseg.networks import build  # noqa: E402
from rtseg.training.datasets import open_split  # noqa: E402
from rtseg.training.prediction import TorchPredictor, load_checkpoint  # noqa: E402
from rtseg.training.provenance import Provenance, read_provenance  # noqa: E402
from rtseg.training.train import Trainer  # noqa: E402
from rtseg.training.weights import pack_weights  # noqa: E402


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_camvid(tmp_path_factory.mktemp("data") / "camvid", count=2)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory) -> Trainer:
    out = tmp_path_factory.mktemp("runs") / "run"
    trainer = Trainer(recipe(epochs=2, evaluate_every=1, data="camvid"), data, out)
    list(trainer.train())
    return trainer


@pytest.fixture
def run(trained) -> Path:
    return trained.folder.path


def miou(predictor: TorchPredictor, data: Path, split: str = "val") -> float:
    return evaluate(predictor, open_split(data, split), predictor.classes).matrix.miou()


def test_it_measures_what_the_trainer_measured(trained, run, data) -> None:
    last = trained.validator.measure(trained.ema.values)
    assert miou(TorchPredictor(run / "last.pt"), data) == last.miou()
    assert miou(TorchPredictor(run), data) == trained.best  # best.safetensors of the folder
    assert miou(TorchPredictor(run / "best.safetensors"), data) == trained.best


def test_a_folder_without_best_weights_gives_its_checkpoint(run, tmp_path) -> None:
    (tmp_path / "last.pt").write_bytes((run / "last.pt").read_bytes())
    assert TorchPredictor(tmp_path).path == tmp_path / "last.pt"
    (tmp_path / "last.pt").unlink()
    with pytest.raises(ModelError, match=r"no best\.safetensors and no last\.pt"):
        TorchPredictor(tmp_path)


def test_the_averaged_weights_are_taken(trained, run) -> None:
    found = load_checkpoint(run / "last.pt")
    assert (found.name, found.classes) == ("dilanet-s", CAMVID)
    for key, value in found.network.state_dict().items():
        torch.testing.assert_close(value, trained.ema.values[key], rtol=0, atol=0)


def test_images_are_resized_to_a_size_that_is_asked_for(run) -> None:
    image = np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8)
    seen = []
    small = TorchPredictor(run, size=(48, 32))
    small.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    assert small(image).shape == (50, 70)
    assert seen == [(1, 3, 32, 48)]
    assert TorchPredictor(run)(image).shape == (50, 70)
    with pytest.raises(ModelError, match="45x32 does not fit dilanet-s; the nearest is 48x32"):
        TorchPredictor(run, size=(45, 32))


def test_devices_that_are_not_there(run) -> None:
    for name in ("cuda:77", "toaster"):
        with pytest.raises(EngineError, match=name):
            TorchPredictor(run, device=name)


def saved(path: Path, **changes: object) -> Path:
    state = {"network": "dilanet-s", "classes": list(CAMVID.names),
             "ema": build("dilanet-s", 11).state_dict()}  # fmt: skip
    torch.save(state | changes, path)
    return path


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"network": "dilanet-m"}, "does not fit dilanet-m with 11 classes"),
        ({"network": "resnet"}, "unknown network 'resnet'"),
        ({"ema": {}}, "does not fit dilanet-s"),
        ({"ema": 3}, "does not fit dilanet-s"),
        ({"classes": ["a", "b"]}, "no known label set"),
        ({"classes": None}, "no known label set"),
    ],
)
def test_checkpoints_that_do_not_fit(tmp_path, changes, says) -> None:
    path = saved(tmp_path / "last.pt", **changes)
    with pytest.raises(ModelError, match=says) as caught:
        TorchPredictor(path)
    assert str(path) in str(caught.value)


def test_files_that_are_no_checkpoints(tmp_path) -> None:
    path = tmp_path / "x.pt"
    for state, says in (({"weights": 1}, "is no checkpoint of rtseg"), ([1], "no checkpoint")):
        torch.save(state, path)
        with pytest.raises(ModelError, match=says):
            TorchPredictor(path)


class Touch:
    """Pickled, it would create a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_no_code_of_a_checkpoint_is_run(tmp_path) -> None:
    bait = tmp_path / "bait"
    torch.save({"network": Touch(bait)}, tmp_path / "x.pt")
    with pytest.raises(ModelError, match="cannot read the checkpoint"):
        TorchPredictor(tmp_path / "x.pt")
    assert not bait.exists()


def test_classes_of_no_known_set_come_from_the_weights_beside(tmp_path) -> None:
    own = LabelSet("own", CAMVID.labels[:2])
    weights = build("dilanet-s", 2).state_dict()
    path = saved(tmp_path / "last.pt", classes=list(own.names), ema=weights)
    with pytest.raises(ModelError, match="no known label set"):
        load_checkpoint(path)
    (tmp_path / "best.safetensors").write_bytes(pack_weights(weights, "dilanet-s", own))
    assert load_checkpoint(path).classes == own


def test_a_run_says_what_it_has_seen(run, tmp_path) -> None:
    assert read_provenance(run / "best.safetensors") == (("CamVid train",), "none")
    assert read_provenance(run / "last.pt") == (("CamVid train",), "none")
    alone = tmp_path / "w.safetensors"
    alone.write_bytes((run / "best.safetensors").read_bytes())
    assert read_provenance(alone) == (("CamVid train",), "none")


def test_what_is_not_stated_is_not_guessed(tmp_path) -> None:
    weights = build("dilanet-s", 11).state_dict()
    (tmp_path / "w.safetensors").write_bytes(pack_weights(weights, "dilanet-s", CAMVID))
    assert read_provenance(tmp_path / "w.safetensors") == Provenance()
    assert read_provenance(saved(tmp_path / "last.pt")) == Provenance()


def test_a_checkpoint_has_seen_what_its_run_has(tmp_path) -> None:
    weights, stated = build("dilanet-s", 11).state_dict(), Provenance(("A train",), "B")
    data = pack_weights(weights, "dilanet-s", CAMVID, stated.metadata())
    (tmp_path / "best.safetensors").write_bytes(data)
    assert read_provenance(saved(tmp_path / "last.pt")) == stated


def test_recipes_with_more_than_one_source(tmp_path) -> None:
    recipe = {"data": "camvid", "splits": ["train", "val"], "rendered": 8, "weights": "w.x"}
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    seen, start = read_provenance(tmp_path / "last.pt")
    assert seen == ("CamVid train", "CamVid val", "rtseg.synthetic")
    assert start == "weights of w.x"
    for content in ("{", "[]", '{"data": "folder", "splits": ["train"]}', '{"data": 3}'):
        (tmp_path / "recipe.json").write_text(content)
        assert read_provenance(tmp_path / "last.pt") == Provenance()


def test_weights_state_it_themselves(tmp_path) -> None:
    from safetensors.torch import save_file

    stated = Provenance(("A train", "B val"), "ImageNet")
    save_file({"x": torch.zeros(1)}, tmp_path / "w.safetensors", stated.metadata())
    assert read_provenance(tmp_path / "w.safetensors") == stated
    save_file({"x": torch.zeros(1)}, tmp_path / "w.safetensors", {"trained_on": "{"})
    assert read_provenance(tmp_path / "w.safetensors") == Provenance()
    assert Provenance().metadata() == {}
