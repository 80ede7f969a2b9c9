"""Recipes, and a run of the loop that learns, resumes and refuses."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from made_runs import make_camvid, recipe  # noqa: E402

from rtseg.errors import ModelError, RecipeError, TrainingError  # noqa: E402
from rtseg.training.checkpoint import Ema  # noqa: E402
from rtseg.training.provenance import Provenance, read_provenance  # noqa: E402
from rtseg.training.recipe_files import load_recipe, shipped_recipes  # noqa: E402
from rtseg.training.train import Trainer  # noqa: E402
from rtseg.training.weights import load_weights  # noqa: E402
from rtseg.training.world import find_device  # noqa: E402


def test_ema_follows_and_copies_counters() -> None:
    network = torch.nn.BatchNorm2d(2)
    ema = Ema(network, 0.5)
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.num_batches_tracked.fill_(7)
    for _ in range(60):
        ema.update(network)
    assert ema.values["weight"].tolist() == pytest.approx([3.0, 3.0])
    assert int(ema.values["num_batches_tracked"]) == 7


# Recipes


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_are_valid(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.network == name.removesuffix("-gpu")
    assert recipe.stages[-1].until == 1


def test_overrides_win_and_unknown_keys_are_errors(tmp_path) -> None:
    assert load_recipe("dilanet-m", ["epochs=3", "amp=bf16"]).epochs == 3
    with pytest.raises(RecipeError, match="learning_rat"):
        load_recipe("dilanet-m", ["learning_rat=1"])
    with pytest.raises(RecipeError, match="epochs"):
        load_recipe("dilanet-m", ["epochs=-1"])
    with pytest.raises(RecipeError, match="key=value"):
        load_recipe("dilanet-m", ["epochs"])
    with pytest.raises(RecipeError, match="dilanet-m"):
        load_recipe("no-such-recipe")
    broken = tmp_path / "r.toml"
    broken.write_text("epochs = [")
    with pytest.raises(RecipeError, match="not a recipe"):
        load_recipe(broken)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("stages", "[]", "stages"),
        ("stages", "[{until = 0.5, crop = [8, 8], scale = [1.0, 1.0]}]", "the last one 1.0"),
        ("stages", "[{until = 1.0, crop = [8, 8], scale = [2.0, 1.0]}]", "low <= high"),
    ],
)
def test_stages_must_make_sense(key, value, says) -> None:
    with pytest.raises(RecipeError, match=says):
        load_recipe("dilanet-m", [f"{key}={value}"])


def test_crops_and_devices_are_checked_before_data_is_read(tiny, tmp_path) -> None:
    odd = recipe(stages=[{"until": 1.0, "crop": (60, 64), "scale": (1.0, 1.0)}])
    with pytest.raises(RecipeError, match="multiples of 8"):
        Trainer(odd, tiny, tmp_path)
    with pytest.raises(RecipeError, match="device 'abacus'"):
        find_device("abacus")


def test_stages_follow_the_progress() -> None:
    recipe = load_recipe("dilanet-m")
    crops = [recipe.stage_at(p).crop for p in (0.0, 0.6, 0.99, 1.0)]
    assert crops == sorted(crops)
    assert crops[0] == recipe.stages[0].crop


# The loop


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return make_camvid(tmp_path_factory.mktemp("camvid"))


@pytest.fixture(scope="module")
def learnt(tiny, tmp_path_factory) -> tuple[Trainer, Path]:
    out = tmp_path_factory.mktemp("run")
    trainer = Trainer(recipe(epochs=60, evaluate_every=20), tiny, out)
    list(trainer.train())
    return trainer, out


def test_it_learns(learnt) -> None:
    trainer, out = learnt
    rows = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    assert len(rows) == 60
    assert float(rows[-1]["loss"]) < 0.3 * float(rows[0]["loss"])
    assert trainer.best > 0.8


def test_best_weights_load_strictly(learnt, tmp_path) -> None:
    _, out = learnt
    network, name, _ = load_weights(out / "best.safetensors")
    assert name == "dilanet-s"
    assert not network.training
    (tmp_path / "bad.safetensors").write_bytes((out / "best.safetensors").read_bytes()[:500])
    with pytest.raises(ModelError, match="cannot read the weights"):
        load_weights(tmp_path / "bad.safetensors")


@pytest.mark.parametrize(("name", "crop"), [("fcdensenet56", 64), ("unet-valid", 188)])
def test_a_network_that_takes_other_sizes_than_the_data(tiny, tmp_path, name, crop) -> None:
    """Crops are of its sizes; validation fits each image to it. 64x80 is no size of either."""
    stages = [{"until": 1.0, "crop": (crop, crop), "scale": (1.5, 2.0)}]
    settings = recipe(network=name, stages=stages, epochs=1, evaluate_every=1)
    (row,) = Trainer(settings, tiny, tmp_path).train()
    assert row["loss"] > 0
    assert 0 <= row["val_miou"] <= 1


def test_resume_continues_bit_for_bit(tiny, tmp_path) -> None:
    whole = Trainer(recipe(), tiny, tmp_path / "whole")
    list(whole.train())
    first = Trainer(recipe(), tiny, tmp_path / "parts")
    steps = first.train()
    next(steps), next(steps)
    second = Trainer(recipe(), tiny, tmp_path / "parts", resume=True)
    assert second.epoch == 2
    list(second.train())
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name
    for name, value in whole.ema.values.items():
        assert torch.equal(value, second.ema.values[name]), name


def test_a_changed_recipe_takes_effect_on_resume(tiny, tmp_path) -> None:
    next(Trainer(recipe(), tiny, tmp_path).train())
    changed = Trainer(recipe(weight_decay=0.5), tiny, tmp_path, resume=True)
    assert [g["weight_decay"] for g in changed.step.optimiser.param_groups] == [0.5, 0.0]
    with pytest.raises(RecipeError, match="trained with adamw"):
        Trainer(recipe(optimiser="sgd"), tiny, tmp_path, resume=True)


def test_the_folder_is_checked_before_data_is_read(tmp_path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RecipeError, match="cannot write to the folder"):
            Trainer(recipe(), tmp_path / "no data", folder)
    with pytest.raises(RecipeError, match="not a recipe"):
        (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
        load_recipe(tmp_path / "binary.toml")


def test_a_run_is_not_overwritten(learnt, tiny) -> None:
    _, out = learnt
    with pytest.raises(RecipeError, match="--resume"):
        Trainer(recipe(), tiny, out)


def test_a_checkpoint_of_another_network_is_refused(learnt, tiny) -> None:
    _, out = learnt
    with pytest.raises(RecipeError, match="checkpoint of 'dilanet-s'; expected 'dilanet-m'"):
        Trainer(recipe(network="dilanet-m"), tiny, out, resume=True)


def test_nan_loss_stops_the_run(tiny, tmp_path) -> None:
    trainer = Trainer(recipe(), tiny, tmp_path)
    with torch.no_grad():
        next(trainer.network.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match="iteration 0"):
        list(trainer.train())


def test_weights_say_what_they_have_seen(learnt, tiny, tmp_path) -> None:
    _, out = learnt
    seen = read_provenance(out / "final.safetensors")
    assert seen == Provenance(("CamVid train",), "none")
    (tmp_path / "start.safetensors").write_bytes((out / "best.safetensors").read_bytes())
    start = str(tmp_path / "start.safetensors")
    more = recipe(weights=start, splits=["val::2"], rendered=2, epochs=1)
    list(Trainer(more, tiny, tmp_path / "run").train())
    seen = read_provenance(tmp_path / "run" / "final.safetensors")
    assert seen == Provenance(("CamVid train", "CamVid val::2", "rtseg.synthetic"), "none")


def test_fine_tuning_starts_from_weights(learnt, tiny, tmp_path) -> None:
    _, out = learnt
    weights = str(out / "best.safetensors")
    start = Trainer(recipe(weights=weights), tiny, tmp_path / "run").network.state_dict()
    for name, value in load_weights(out / "best.safetensors")[0].state_dict().items():
        assert torch.equal(start[name], value), name
    with pytest.raises(RecipeError, match="weights of dilanet-s; expected dilanet-m"):
        Trainer(recipe(network="dilanet-m", weights=weights), tiny, tmp_path / "other")


def test_rendered_frames_are_mixed_in(tiny, tmp_path) -> None:
    trainer = Trainer(recipe(rendered=2), make_camvid(tmp_path / "data"), tmp_path / "run")
    assert len(trainer.source.names) == 6
