"""The deployed file gives the labels of the trained network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402

from rtseg.classes import CAMVID, LabelSet  # noqa: E402
from rtseg.errors import ModelError  # noqa: E402
from rtseg.metrics import ConfusionMatrix  # noqa: E402
from rtseg.model import Model, list_models  # noqa: E402
from rtseg.networks import build  # noqa: E402
from rtseg.segmenter import Segmenter  # noqa: E402
from rtseg.synthetic import labelled_frames  # noqa: E402
from rtseg.training.datasets import open_split  # noqa: E402
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
    """A new export of the shipped weights of the small network."""
    out = tmp_path_factory.mktemp("export") / "again.onnx"
    export(shipped_weights("dilanet-s"), out, name="again", training="for a test", licence="none")
    return out


def test_the_contract_describes_the_network(exported) -> None:
    contract = Model.load(exported).contract
    network = build("dilanet-s", 11)
    assert contract.name == "again"
    assert contract.network == "dilanet-s"
    assert (contract.stride, contract.output_stride) == (8, 4)
    assert contract.parameters == sum(p.numel() for p in network.parameters())
    assert contract.training == "for a test"


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


@pytest.mark.data
@pytest.mark.parametrize("name", list_models())
def test_deployed_file_against_torch_on_camvid_test(name, data, capsys) -> None:
    """f32: at least 99.8 % of the labels equal those of torch FP32. bf16: mIoU within 0.3 points.
    f32 reproduces the mIoU that the contract states."""
    model = Model.load(name)
    network, *_ = load_weights(shipped_weights(name))
    engines = {p: Segmenter(model, size=(480, 360), precision=p) for p in ("f32", "bf16")}
    matrices = {p: ConfusionMatrix(11) for p in (*engines, "torch")}
    equal = dict.fromkeys(engines, 0)
    pixels = 0
    for _, image, truth in open_split(data / "camvid", "test"):
        reference = torch_labels(network, image)
        matrices["torch"].add(truth, reference)
        pixels += reference.size
        for precision, segmenter in engines.items():
            labels = segmenter(image).labels
            equal[precision] += int((labels == reference).sum())
            matrices[precision].add(truth, labels)
    agreement = {p: n / pixels for p, n in equal.items()}
    miou = {p: 100 * m.miou() for p, m in matrices.items()}
    with capsys.disabled():
        print(
            f"\n{name} on CamVid test: mIoU torch {miou['torch']:.2f}, f32 {miou['f32']:.2f}, "
            f"bf16 {miou['bf16']:.2f}; labels equal to torch: f32 {100 * agreement['f32']:.3f} %, "
            f"bf16 {100 * agreement['bf16']:.3f} %"
        )
    assert agreement["f32"] >= 0.998
    assert abs(miou["bf16"] - miou["torch"]) <= 0.3
    assert model.contract.measured is not None
    assert abs(miou["f32"] - 100 * model.contract.measured.miou) <= 0.1
