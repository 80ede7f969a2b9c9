"""The deployed file gives the labels of the trained network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402

from rtseg.classes import CAMVID, LabelSet  # noqa: E402
from rtseg.errors import ModelError  # noqa: E402
from rtseg.model import Model  # noqa: E402
from rtseg.networks import build  # noqa: E402
from rtseg.segmenter import Segmenter  # noqa: E402
from rtseg.synthetic import labelled_frames  # noqa: E402
from rtseg.training.export import export  # noqa: E402
from rtseg.training.tensors import normalise, predict  # noqa: E402
from rtseg.training.weights import load_weights, pack_weights  # noqa: E402


def shipped_weights(name: str) -> Path:
    return Model.load(name).path.with_suffix(".safetensors")


def torch_labels(network: nn.Module, image: np.ndarray) -> np.ndarray:
    """Labels of a (H, W, 3) BGR image whose size the network takes, all in FP32."""
    rgb = torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)))
    with torch.no_grad():
        return predict(network(normalise(rgb[None].float() / 255)), image.shape[:2])


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """A new export of the shipped weights of the small network, in a folder as runs have it."""
    folder = tmp_path_factory.mktemp("export")
    weights, out = folder / "best.safetensors", folder / "again.onnx"
    network, name, classes = load_weights(shipped_weights("dilanet-s"))
    weights.write_bytes(pack_weights(network.state_dict(), name, classes))  # nothing stated
    recipe = {"data": "camvid", "splits": ["train"], "weights": None}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    export(weights, out, name="again", training="for a test", licence="none")
    return out


def test_the_contract_describes_the_network(exported) -> None:
    contract = Model.load(exported).contract
    network = build("dilanet-s", 11)
    assert contract.name == "again"
    assert contract.network == "dilanet-s"
    assert (contract.stride, contract.output_stride) == (8, 4)
    assert contract.parameters == sum(p.numel() for p in network.parameters())
    assert contract.training == "for a test"
    assert contract.trained_on == ("CamVid train",)
    assert contract.pretraining == "none"


def test_exporting_shipped_weights_gives_the_shipped_graph(exported) -> None:
    """Weights are equal to the bit; names may differ between versions of the exporter."""

    def halves(path: Path) -> list[bytes]:
        graph = onnx.load_model(path).graph
        return sorted(t.raw_data for t in graph.initializer if len(t.dims) == 4)

    assert halves(exported) == halves(Model.load("dilanet-s").path)


def test_height_and_width_are_free(exported) -> None:
    network, *_ = load_weights(shipped_weights("dilanet-s"))
    for size in ((160, 96), (96, 200)):
        with Segmenter(exported, size=size, precision="f32") as segmenter:
            for image, _ in labelled_frames(2, *size, seed=5):
                agree = (segmenter(image).labels == torch_labels(network, image)).mean()
                assert agree > 0.99


def test_nothing_of_the_exporting_machine_is_left(exported) -> None:
    graph = onnx.load_model(exported)
    assert str(Path.cwd()).encode() not in exported.read_bytes()
    assert not any(node.doc_string or node.metadata_props for node in graph.graph.node)


def test_weights_load_strictly(tmp_path) -> None:
    tensors = load_file(shipped_weights("dilanet-s"))
    path = tmp_path / "w.safetensors"
    two = LabelSet("two", CAMVID.labels[:2])
    save_file(tensors, path)
    with pytest.raises(ModelError, match="does not name its network"):
        load_weights(path)
    path.write_bytes(pack_weights(tensors, "dilanet-m", CAMVID))
    with pytest.raises(ModelError, match="does not fit dilanet-m"):
        load_weights(path)
    path.write_bytes(pack_weights(tensors, "dilanet-s", two))
    with pytest.raises(ModelError, match="does not fit dilanet-s with 2 classes"):
        load_weights(path)
    path.write_bytes(pack_weights(dict(list(tensors.items())[:-1]), "dilanet-s", CAMVID))
    with pytest.raises(ModelError, match="does not fit dilanet-s"):
        load_weights(path)
