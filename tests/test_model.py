"""Model files: the contract holds, and files that break it are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from rtseg.classes import CAMVID
from rtseg.contract import Contract, classes_of
from rtseg.errors import InputError, ModelError
from rtseg.model import Model, digest, list_models, with_contract

TENSORRT_OPERATORS = {"Conv", "Relu", "Add", "Resize", "Cast"}


@pytest.mark.parametrize("name", list_models())
def test_shipped_models_keep_their_contract(name: str) -> None:
    model = Model.load(name)
    assert model.classes == CAMVID
    assert model.contract.name == name
    assert model.contract.measured is not None


@pytest.mark.parametrize("name", list_models())
def test_shipped_graphs_are_fp16_with_operators_that_tensorrt_has(name: str) -> None:
    graph = onnx.load_model_from_string(Model.load(name).data).graph
    assert {node.op_type for node in graph.node} <= TENSORRT_OPERATORS
    weights = [t for t in graph.initializer if len(t.dims) == 4]
    assert weights
    assert {t.data_type for t in weights} == {TensorProto.FLOAT16}
    assert graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT16
    assert all(np.isfinite(numpy_helper.to_array(t)).all() for t in weights)


@pytest.mark.parametrize(
    ("source", "expected"),
    [((480, 360), (480, 360)), ((1280, 720), (552, 312)), ((1920, 1080), (552, 312)),
     ((720, 1280), (312, 552)), ((1, 1), (416, 416))],
)  # fmt: skip
def test_default_size_has_the_source_aspect_and_the_trained_pixels(model, source, expected) -> None:
    size = model.input_size(*source)
    assert size == expected
    assert size[0] * size[1] == pytest.approx(480 * 360, rel=0.05)


@pytest.mark.parametrize("size", [(481, 360), (0, 360), (4, 4), (9000, 360)])
def test_a_size_that_does_not_fit_names_the_nearest(model, size) -> None:
    with pytest.raises(InputError, match="the nearest is"):
        model.check_size(size)


def test_extreme_aspects_stay_bounded(model) -> None:
    width, height = model.input_size(100_000, 10)
    assert width % 8 == height % 8 == 0
    assert width <= 8 * height * 1.1


def rewritten(model: Model, path: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    graph = onnx.load_model_from_string(model.data)
    change(graph)
    path.write_bytes(graph.SerializeToString())
    return path


def other_contract(model: Model, **values: object) -> bytes:
    graph = onnx.load_model_from_string(model.data)
    contract = Contract.model_construct(**(dict(model.contract) | values))
    return with_contract(graph, contract)


def test_a_changed_weight_is_refused(model, tmp_path) -> None:
    def change(graph: onnx.ModelProto) -> None:
        tensor = graph.graph.initializer[0]
        tensor.raw_data = bytes(len(tensor.raw_data))

    path = rewritten(model, tmp_path / "m.onnx", change)
    with pytest.raises(ModelError, match="changed after its export"):
        Model.load(path)


def test_a_changed_operator_is_refused(model, tmp_path) -> None:
    def change(graph: onnx.ModelProto) -> None:
        relu = next(n for n in graph.graph.node if n.op_type == "Relu")
        relu.op_type = "Tanh"

    with pytest.raises(ModelError, match="changed after its export"):
        Model.load(rewritten(model, tmp_path / "m.onnx", change))


@pytest.mark.parametrize(
    "values", [{"mean": (0.0, 0.0, 0.0)}, {"stride": 4}, {"classes": classes_of(CAMVID)[::-1]}]
)
def test_a_changed_contract_is_refused(model, tmp_path, values) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(other_contract(model, **values))
    with pytest.raises(ModelError, match="changed after its export"):
        Model.load(path)


def test_the_output_stride_against_the_graph(model, tmp_path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(other_contract(model, output_stride=8))
    with pytest.raises(ModelError, match=r"logits of \[120, 90\] for an image of \[480, 360\]"):
        Model.load(path)


def test_the_digest_does_not_depend_on_what_was_measured(model) -> None:
    graph = onnx.load_model_from_string(model.data)
    other = model.contract.model_copy(update={"measured": None})
    assert digest(graph, other) == model.contract.sha256


def test_what_is_not_stated_is_not_written(model) -> None:
    """Files from before a key exists keep their digest."""
    bare = model.contract.model_copy(update={"trained_on": (), "pretraining": None})
    assert not {"trained_on", "pretraining"} & set(json.loads(bare.model_dump_json()))
    assert not {"trained_on", "pretraining"} & set(bare.model_dump())
    stated = bare.model_copy(update={"trained_on": ("CamVid train",), "pretraining": "none"})
    assert Contract.model_validate_json(stated.model_dump_json()) == stated
    graph = onnx.load_model_from_string(model.data)
    assert digest(graph, stated) != digest(graph, bare)


def test_files_that_say_less_of_their_accuracy_can_be_read(model) -> None:
    values = model.contract.model_dump()
    for key in ("resolution", "mean_accuracy", "boundary_f"):
        values["measured"].pop(key, None)
    measured = Contract.model_validate(values).measured
    assert measured.resolution is measured.mean_accuracy is measured.boundary_f is None


def test_class_count_against_channels(model, tmp_path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(other_contract(model, classes=classes_of(CAMVID)[:10], measured=None))
    with pytest.raises(ModelError, match="11 channels but its contract names 10 classes"):
        Model.load(path)


def test_a_value_out_of_range_names_its_key(model, tmp_path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(other_contract(model, std=(0.2, 0.0, 0.2)))
    with pytest.raises(ModelError, match=r"broken contract.*std"):
        Model.load(path)


def test_an_unknown_key_is_refused(model, tmp_path) -> None:
    def change(graph: onnx.ModelProto) -> None:
        entry = graph.metadata_props[-1]
        entry.value = entry.value[:-1] + ',"surprise":1}'

    with pytest.raises(ModelError, match="surprise"):
        Model.load(rewritten(model, tmp_path / "m.onnx", change))


def test_no_contract(model, tmp_path) -> None:
    def change(graph: onnx.ModelProto) -> None:
        del graph.metadata_props[:]

    with pytest.raises(ModelError, match="no rtseg contract"):
        Model.load(rewritten(model, tmp_path / "m.onnx", change))


def test_external_weights_are_refused(model, tmp_path) -> None:
    def change(graph: onnx.ModelProto) -> None:
        tensor = graph.graph.initializer[0]
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../etc/passwd")

    with pytest.raises(ModelError, match="weights in other files"):
        Model.load(rewritten(model, tmp_path / "m.onnx", change))


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07" * 100, b"PK\x03\x04zip"])
def test_a_damaged_file_is_refused(tmp_path, content) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.onnx"):
        Model.load(path)


def test_a_file_cut_short_is_refused(model, tmp_path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(model.data[: len(model.data) // 2])
    with pytest.raises(ModelError):
        Model.load(path)


def test_an_unknown_name_lists_the_known(tmp_path) -> None:
    with pytest.raises(ModelError, match="dilanet-m"):
        Model.load("no-such-model")
