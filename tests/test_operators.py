"""The check of a graph's operators against what TensorRT's parser takes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from rtseg.backends.operators import SUPPORTED, check_operators
from rtseg.errors import ModelError
from rtseg.model import Model, list_models

HALF, FLOAT, BYTE, LONG = (
    TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT64,
)  # fmt: skip


def graph(
    *nodes: onnx.NodeProto, kind: int = HALF, constants: dict[str, np.ndarray] | None = None
) -> onnx.ModelProto:
    """x (1, 4, 8, 8) of `kind` → y, by these nodes."""
    return helper.make_model(
        helper.make_graph(
            list(nodes),
            "g",
            [helper.make_tensor_value_info("x", kind, [1, 4, 8, 8])],
            [helper.make_empty_tensor_value_info("y")],
            [numpy_helper.from_array(v, k) for k, v in (constants or {}).items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
    )


@pytest.mark.parametrize("name", list_models())
def test_the_shipped_models_pass(name: str) -> None:
    assert check_operators(onnx.load(Model.load(name).path)) == []


def test_max_unpool_is_refused_by_name_with_the_way_out() -> None:
    nodes = (
        helper.make_node(
            "MaxPool", ["x"], ["p", "i"], name="pool", kernel_shape=[2, 2], strides=[2, 2]
        ),
        helper.make_node(
            "MaxUnpool", ["p", "i"], ["y"], name="unpool", kernel_shape=[2, 2], strides=[2, 2]
        ),
    )
    problems = check_operators(graph(*nodes))
    assert {(p.node, p.operator) for p in problems} == {
        ("pool", "MaxPool"),
        ("unpool", "MaxUnpool"),
    }
    assert any("rtseg.networks.upsampling" in p.reason for p in problems)
    assert any("Indices" in p.reason for p in problems)


def test_an_unknown_operator_and_a_foreign_domain_are_refused() -> None:
    bits = helper.make_node("BitShift", ["x", "x"], ["y"], direction="LEFT")
    assert "not in TensorRT's table" in check_operators(graph(bits, kind=BYTE))[0].reason
    gelu = helper.make_node("FastGelu", ["x"], ["y"], domain="com.microsoft")
    model = graph(gelu)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    assert "com.microsoft" in check_operators(model)[0].reason


def test_a_graph_without_types_is_bad_input() -> None:
    with pytest.raises(ModelError, match="types of its tensors"):
        check_operators(graph(helper.make_node("Relu", ["x"], ["y"], domain="nobody")))


@pytest.mark.parametrize(("kind", "refused"), [(HALF, False), (FLOAT, False), (BYTE, True)])
def test_types_are_checked(kind: int, refused: bool) -> None:
    problems = check_operators(graph(helper.make_node("Transpose", ["x"], ["y"]), kind=kind))
    assert bool(problems) == refused
    assert not refused or "UINT8" in problems[0].reason


def test_integers_do_not_go_through_convolutions() -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    assert check_operators(graph(node, kind=LONG))


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"mode": "cubic"}, "cubic"),
        ({"mode": "linear", "antialias": 1}, "antialias"),
        ({"mode": "linear", "coordinate_transformation_mode": "half_pixel_symmetric"}, "symmetric"),
        ({"mode": "linear", "coordinate_transformation_mode": "half_pixel"}, ""),
        ({"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}, ""),
    ],
)
def test_resize_modes(attributes: dict[str, object], reason: str) -> None:
    node = helper.make_node("Resize", ["x", "", "scales"], ["y"], **attributes)
    constants = {"scales": np.array([1, 1, 2, 2], np.float32)}
    problems = check_operators(graph(node, constants=constants))
    assert [reason in p.reason for p in problems] == ([True] if reason else [])


@pytest.mark.parametrize(("mode", "refused"), [("reflect", False), ("edge", False), ("wrap", True)])
def test_pad_modes(mode: str, refused: bool) -> None:
    node = helper.make_node("Pad", ["x", "pads"], ["y"], mode=mode)
    constants = {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])}
    model = graph(node, constants=constants)
    model.opset_import[0].version = 19  # wrap is of that version
    assert bool(check_operators(model)) == refused


def test_dilated_pooling_is_refused() -> None:
    pool = {"kernel_shape": [2, 2], "dilations": [2, 2]}
    problems = check_operators(graph(helper.make_node("MaxPool", ["x"], ["y"], **pool)))
    assert "dilations" in problems[0].reason


def test_shape_arithmetic_and_comparisons_pass() -> None:
    nodes = (
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "index"], ["height"]),
        helper.make_node("ConstantOfShape", ["height"], ["zeros"]),
        helper.make_node("GreaterOrEqual", ["x", "x"], ["mask"]),
        helper.make_node("Cast", ["mask"], ["y"], to=HALF),
    )
    assert check_operators(graph(*nodes, constants={"index": np.array([2])})) == []


def test_what_the_design_names_is_in_the_table() -> None:
    named = (
        "Conv ConvTranspose Resize MaxPool AveragePool GlobalAveragePool PRelu HardSwish Softmax"
    )
    assert set(named.split()) | {"Concat", "Pad"} <= SUPPORTED.keys()
    assert not {"MaxUnpool", "Col2Im", "AffineGrid", "CenterCropPad"} & SUPPORTED.keys()
