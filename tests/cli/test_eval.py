"""`rtseg eval`: what it prints and writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
from made_camvid import small_camvid
from PIL import Image

from rtseg.classes import CAMVID, Label, LabelSet
from rtseg.contract import classes_of
from rtseg.model import Model, digest, list_models, with_contract
from rtseg.segmenter import Segmenter
from rtseg.training.datasets import open_split


@pytest.fixture
def camvid(tmp_path) -> Path:
    return small_camvid(tmp_path / "camvid")


def stating(path: Path, **values: object) -> Path:
    """The small model with another contract, sealed again."""
    model = Model.load("dilanet-s")
    graph = onnx.load_model_from_string(model.data)
    contract = model.contract.model_copy(update=values)
    contract = contract.model_copy(update={"sha256": digest(graph, contract)})
    path.write_bytes(with_contract(graph, contract))
    return path


def figures(path: Path) -> dict:
    return json.loads(path.read_text())


def test_prints_and_writes(rtseg, camvid, tmp_path) -> None:
    done = rtseg("eval", "dilanet-m", "--data", camvid, "--json", "r.json", "--precision", "f32")
    assert done.code == 0, done.err
    result = figures(tmp_path / "r.json")
    assert result["images"] == 4
    assert len(result["iou"]) == len(result["boundary_f"]) == 11
    assert f"mIoU {100 * result['miou']:.2f}" in done.out
    assert f"global accuracy {100 * result['pixel_accuracy']:.2f}" in done.out
    assert f"boundary F {100 * result['mean_boundary_f']:.2f} (3 px)" in done.out
    assert np.array(result["confusion"]).shape == (11, 12)
    assert result["resolutions"] == [[160, 120, 4]]
    assert result["model"]["engine"] == "openvino"


def test_it_is_what_rtseg_run_would_say(rtseg, camvid, tmp_path) -> None:
    from rtseg.evaluation import evaluate

    assert rtseg("eval", "dilanet-s", "--data", camvid, "--json", "r.json").code == 0
    split = open_split(camvid, "test")
    with Segmenter("dilanet-s") as segmenter:
        own = evaluate(lambda image: segmenter(image).labels, split, split.classes)
    assert figures(tmp_path / "r.json")["confusion"] == own.matrix.counts.tolist()


def test_every_report_says_where_its_figures_come_from(rtseg, camvid, tmp_path) -> None:
    stated = stating(
        tmp_path / "m.onnx", trained_on=("CamVid train", "CamVid val"), pretraining="none"
    )
    done = rtseg("eval", stated, "--data", camvid, "--json", "r.json")
    lines = dict(re.findall(r"^(\w[\w ]*?) {2,}(.+?) *$", done.out, re.MULTILINE))
    assert lines["data"] == "CamVid test, 4 images"
    assert lines["labels"].startswith("160x120")
    assert lines["classes"] == "11 of camvid-11"
    assert re.match(r"openvino [\d.]+ (f32|bf16) on .+, input \d+x\d+", lines["engine"])
    assert lines["trained on"] == "CamVid train, CamVid val"
    assert lines["pretraining"] == "none"
    assert lines["val"] == "trained on"
    assert "WARNING" not in done.out
    assert figures(tmp_path / "r.json")["trained_on_val"] is True
    assert figures(tmp_path / "r.json")["trained_on_split"] is False


def test_it_warns_if_the_split_was_trained_on(rtseg, camvid, tmp_path) -> None:
    stated = stating(tmp_path / "m.onnx", trained_on=("CamVid val",))
    done = rtseg("eval", stated, "--data", camvid, "--split", "val")
    assert done.code == 0, done.err
    assert "WARNING: dilanet-s was trained on CamVid val" in done.out


def test_what_a_file_does_not_state_is_not_guessed(rtseg, camvid, tmp_path) -> None:
    silent = stating(tmp_path / "m.onnx", trained_on=(), pretraining=None)
    done = rtseg("eval", silent, "--data", camvid, "--json", "r.json")
    assert len(re.findall(r"^(?:trained on|pretraining|val) +not stated", done.out, re.M)) == 3
    assert figures(tmp_path / "r.json")["trained_on_val"] is None


def test_a_model_against_another(rtseg, camvid, tmp_path) -> None:
    args = ("--data", camvid, "--json", "r.json")
    done = rtseg("eval", "dilanet-m", "--against", "dilanet-s", *args)
    assert done.code == 0, done.err
    result = figures(tmp_path / "r.json")
    other, difference = result["against"], result["against"]["miou_difference"]
    assert other["model"]["name"] == "dilanet-s"
    assert difference["value"] == pytest.approx(result["miou"] - other["miou"], abs=1e-7)
    assert difference["low"] <= difference["value"] <= difference["high"]
    assert 0 < other["agreement"] < 1
    assert f"equal labels {100 * other['agreement']:.3f} %" in done.out
    assert f"mIoU difference {100 * difference['value']:+.2f} points" in done.out


def test_two_engines_of_one_file(rtseg, camvid, tmp_path) -> None:
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bf16, OpenVINO takes f32 in its place")
    args = ("--precision", "f32", "--against-precision", "bf16", "--json", "r.json")
    done = rtseg("eval", "dilanet-s", "--data", camvid, *args)
    assert done.code == 0, done.err
    result = figures(tmp_path / "r.json")
    assert (result["model"]["precision"], result["against"]["model"]["precision"]) == (
        "f32", "bf16",
    )  # fmt: skip
    assert 0.95 < result["against"]["agreement"] < 1
    assert "openvino f32" in done.out
    assert "openvino bf16" in done.out


def test_a_model_of_other_classes_is_mapped(rtseg, camvid, tmp_path) -> None:
    """One that names CamVid's classes in another order, and says so."""
    swapped = LabelSet("swapped", tuple(
        Label(i, c.name, c.colour, c.group) for i, c in enumerate(reversed(CAMVID.labels))
    ))  # fmt: skip
    other = stating(
        tmp_path / "m.onnx", classes=classes_of(swapped), label_set="swapped", measured=None
    )
    done = rtseg("eval", other, "--data", camvid, "--json", "r.json", "--precision", "f32")
    assert done.code == 0, done.err
    assert "11 of camvid-11; those of model (swapped)" in done.out
    result = figures(tmp_path / "r.json")
    assert result["mapped"] is True
    plain = rtseg("eval", "dilanet-s", "--data", camvid, "--json", "p.json", "--precision", "f32")
    assert plain.code == 0, plain.err
    expected = np.array(figures(tmp_path / "p.json")["confusion"])
    expected[:, :11] = expected[:, 10::-1]  # the same channels, other names
    np.testing.assert_array_equal(result["confusion"], expected)
    done = rtseg("eval", other, "--data", camvid, "--record")
    assert done.code == 2
    assert "--record needs data of the model's own 11 classes" in done.err


def test_the_confusion_matrix_as_a_picture(rtseg, camvid, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    assert rtseg("eval", "dilanet-s", "--data", camvid, "--png", "c.png").code == 0
    with Image.open(tmp_path / "c.png") as picture:
        assert min(picture.size) > 600
        assert np.array(picture.convert("L")).std() > 20


def test_the_sheet_shows_the_worst_images_or_those_drawn(rtseg, camvid, tmp_path) -> None:
    args = ("eval", "dilanet-s", "--data", camvid, "--count", 2, "--sheet")
    for name, extra in (("worst", ()), ("again", ()), ("a", ("--seed", 1)), ("b", ("--seed", 2))):
        done = rtseg(*args, f"{name}.png", *extra)
        assert done.code == 0, done.err
    sheets = {n: (tmp_path / f"{n}.png").read_bytes() for n in ("worst", "again", "a", "b")}
    assert sheets["worst"] == sheets["again"]
    assert len(set(sheets.values())) == 3
    with Image.open(tmp_path / "worst.png") as sheet:
        assert sheet.height > 3 * 192


def test_records_into_a_model_file(rtseg, camvid, tmp_path) -> None:
    copy = tmp_path / "mine.onnx"
    copy.write_bytes(Model.load("dilanet-m").data)
    done = rtseg("eval", copy, "--data", camvid, "--record", "--json", "r.json")
    assert done.code == 0, done.err
    again, result = Model.load(copy).contract, figures(tmp_path / "r.json")
    assert again.measured.images == 4
    assert again.measured.resolution == (160, 120)
    assert again.measured.boundary_f == pytest.approx(result["mean_boundary_f"], abs=1e-5)
    assert again.sha256 == Model.load("dilanet-m").contract.sha256


@pytest.mark.data
@pytest.mark.parametrize("name", list_models())
def test_eval_reproduces_the_card_on_camvid_test(rtseg, name, data, tmp_path, capsys) -> None:
    """f32: the mIoU of contract and card within 0.1 points; at least 99.8 % of the labels equal
    those of torch FP32. bf16: mIoU within 0.3 points of torch."""
    pytest.importorskip("torch")
    path = Model.load(name).path
    common = ("eval", name, "--data", data / "camvid", "--size", "480x360")
    weights = path.with_suffix(".safetensors")
    done = rtseg(*common, "--precision", "f32", "--against", weights, "--json", "f32.json")
    assert done.code == 0, done.err
    assert rtseg(*common, "--precision", "bf16", "--json", "bf16.json").code == 0
    f32, bf16 = figures(tmp_path / "f32.json"), figures(tmp_path / "bf16.json")
    torch = f32["against"]
    assert f32["images"] == 233
    measured = Model.load(name).contract.measured
    assert measured is not None
    assert abs(f32["miou"] - measured.miou) <= 0.001
    card = re.search(r"\*\*mIoU ([\d.]+)\*\*", path.with_suffix(".md").read_text())
    assert card is not None
    assert abs(100 * f32["miou"] - float(card[1])) <= 0.1
    assert torch["agreement_all"] >= 0.998
    assert abs(bf16["miou"] - torch["miou"]) <= 0.003
