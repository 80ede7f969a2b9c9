"""`rtseg eval`: input that cannot be used is one sentence, exit code 2, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from made_camvid import small_camvid

from rtseg.classes import CAMVID, LabelSet
from rtseg.model import Model


@pytest.fixture
def camvid(tmp_path) -> Path:
    return small_camvid(tmp_path / "camvid", count=1)


def refused(done, *says: str) -> None:
    """One sentence that names what is wrong."""
    assert done.code == 2, (done.code, done.err)
    assert done.err.startswith("rtseg: error: ")
    assert done.err.strip().count("\n") == 0
    assert "internal error" not in done.err
    for text in says:
        assert text in done.err


@pytest.mark.parametrize(
    ("args", "says"),
    [(("--data", "."), "no known data set"), (("--data", "nowhere"), "nowhere")],
)
def test_data_that_is_not_there(rtseg, args, says) -> None:
    refused(rtseg("eval", "dilanet-m", *args), says)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--split", "all"), "all"),
        (("--png", "c.jpg"), "c.jpg is no .png"),
        (("--sheet", "s.jpg"), "s.jpg is no .png"),
        (("--png", "a.png", "--sheet", "a.png"), "one file for several outputs"),
        (("--json", "old.json"), "exists already"),
        (("--json", "none/r.json"), "none"),
        (("--json", "camvid/testannot/0.png", "-y"), "0.png"),
        (("--device", "cuda"), "--device is for weights"),
        (("--precision", "f64"), "f64"),
        (("--against", "nothing"), "no model 'nothing'"),
        (("--against-precision", "f64"), "f64"),
        (("--size", "100x100"), "100x100"),
    ],
)
def test_options(rtseg, camvid, tmp_path, args, says) -> None:
    (tmp_path / "old.json").write_text("precious")
    before = sorted(p.name for p in tmp_path.rglob("*"))
    labels = (camvid / "testannot" / "0.png").read_bytes()
    refused(rtseg("eval", "dilanet-s", "--data", camvid, *args), says)
    assert sorted(p.name for p in tmp_path.rglob("*")) == before
    assert (tmp_path / "old.json").read_text() == "precious"
    assert (camvid / "testannot" / "0.png").read_bytes() == labels


def test_the_model_is_not_overwritten(rtseg, camvid, tmp_path) -> None:
    copy = tmp_path / "mine.onnx"
    copy.write_bytes(Model.load("dilanet-s").data)
    refused(rtseg("eval", copy, "--data", camvid, "--json", copy, "-y"), "mine.onnx")
    assert copy.read_bytes() == Model.load("dilanet-s").data


def test_labels_outside_the_table(rtseg, camvid) -> None:
    file = camvid / "testannot" / "0.png"
    cv2.imwrite(str(file), np.full((120, 160), 77, np.uint8))
    refused(rtseg("eval", "dilanet-s", "--data", camvid), str(file), "77")


def test_labels_of_another_size(rtseg, camvid) -> None:
    file = camvid / "testannot" / "0.png"
    cv2.imwrite(str(file), np.zeros((60, 80), np.uint8))
    refused(rtseg("eval", "dilanet-s", "--data", camvid), str(file), "80x60")


def tensors() -> dict:
    """The small network's."""
    pytest.importorskip("torch")
    from safetensors.torch import load_file

    return load_file(Model.load("dilanet-s").path.with_suffix(".safetensors"))


def packed(path: Path, name: str, classes: LabelSet) -> Path:
    weights = tensors()
    from rtseg.training.weights import pack_weights

    path.write_bytes(pack_weights(weights, name, classes))
    return path


def test_weights_of_another_network_or_class_count(rtseg, camvid, tmp_path) -> None:
    two = LabelSet("two", CAMVID.labels[:2])
    for name, classes in (("dilanet-m", CAMVID), ("dilanet-s", two), ("resnet", CAMVID)):
        path = packed(tmp_path / "w.safetensors", name, classes)
        refused(rtseg("eval", path, "--data", camvid), str(path), name)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".onnx"])
@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04" + bytes(99)])
def test_damaged_files(rtseg, camvid, tmp_path, suffix, content) -> None:
    pytest.importorskip("torch")
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    refused(rtseg("eval", path, "--data", camvid), str(path))


def test_files_that_are_not_there(rtseg, camvid, tmp_path) -> None:
    pytest.importorskip("torch")
    for name in ("no.safetensors", "no.pt", "no.onnx"):
        refused(rtseg("eval", name, "--data", camvid), name)
    (tmp_path / "run").mkdir()
    refused(rtseg("eval", "run", "--data", camvid), "run holds no best.safetensors")


def test_engines_are_not_for_weights(rtseg, camvid, tmp_path) -> None:
    path = packed(tmp_path / "w.safetensors", "dilanet-s", CAMVID)
    for args in (("--precision", "bf16"), ("--backend", "openvino")):
        refused(rtseg("eval", path, "--data", camvid, *args), str(path), "torch")
    refused(rtseg("eval", path, "--data", camvid, "--record"), str(path), "--record")
    done = rtseg("eval", path, "--data", camvid, "--device", "cuda:99")
    assert done.code == 1
    assert "cuda:99" in done.err


def test_models_of_other_classes(rtseg, camvid, tmp_path) -> None:
    """Nothing in common with the data."""
    import onnx

    from rtseg.classes import Label
    from rtseg.contract import classes_of
    from rtseg.model import digest, with_contract

    model = Model.load("dilanet-s")
    strange = LabelSet("strange", tuple(Label(i, f"x{i}", (i, i, i), "object") for i in range(11)))
    graph = onnx.load_model_from_string(model.data)
    values = {"classes": classes_of(strange), "label_set": "strange", "measured": None}
    contract = model.contract.model_copy(update=values)
    contract = contract.model_copy(update={"sha256": digest(graph, contract)})
    path = tmp_path / "strange.onnx"
    path.write_bytes(with_contract(graph, contract))
    refused(rtseg("eval", path, "--data", camvid), str(path), "CamVid")
