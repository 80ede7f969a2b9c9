"""Which layers of an engine convolve, and in what: the inspector's JSON of TensorRT 8 to 11."""

from __future__ import annotations

import json
from typing import Any

import onnx
import pytest

from rtseg.backends.trt_precision import (
    NamesOnlyError,
    Proof,
    convolution_nodes,
    prove_half,
)
from rtseg.errors import EngineError
from rtseg.model import Model

NAMES = "node_conv2d", "node_conv2d_1"
NODES = set(NAMES)
BOTH = {"Metadata": "".join(f"[ONNX Layer: {name}]" for name in NAMES)}
NAMED = "[ONNX Layer: node_conv2d_1]"


def info(*layers: Any) -> str:
    return json.dumps({"Layers": list(layers), "Bindings": ["image", "logits"]})


def layer(kind: str, *inputs: dict[str, str], **more: Any) -> dict[str, Any]:
    tensors = [{"Name": "t", "Location": "Device", "Dimensions": [1, 8, 4, 4], **t} for t in inputs]
    return {"Name": f"the {kind}", "LayerType": kind, "Inputs": tensors, **more}


def v10(text: str) -> dict[str, str]:
    return {"Format/Datatype": text}


HALF = v10("Channel major FP16 format where channel % 8 == 0")
FLOAT = v10("Row major linear FP32")
UNKNOWN = v10("N/A due to dynamic shapes")


@pytest.mark.parametrize(
    "found",
    [
        layer("CaskConvolution", HALF, Weights={"Type": "Half", "Count": 9}),
        layer("CaskGemmConvolution", HALF, v10("Row major linear FP16 format.")),
        layer("CaskConvActPool", v10("Two wide channel vectorized row major FP16 format")),
        layer("CaskDeconvolutionV2", HALF),
        layer("CudnnConvolution", v10("Half")),
        layer("Convolution", {"Format": "Row major linear FP16 format (kLINEAR)"}),
        layer("CaskConvolution", {"Format": "Channel major (kHWC8)", "Datatype": "Half"}),
        layer("CaskConvolution", {"Format": "LINEAR", "DataType": "FP16"}),
        layer("CaskConvolution", UNKNOWN, Weights={"Type": "Half", "Count": 9}),
        layer("fusion", HALF, ParameterType="Convolution"),
        layer("kgen", v10("Half"), v10("Int32"), Metadata=f"{NAMED}\x1e[ONNX Layer: node_relu]"),
        layer("gemm", v10("Half"), Metadata=f"x {NAMED}"),
    ],
    ids=lambda found: found["LayerType"],
)  # fmt: skip
def test_half_is_recognised(found: dict[str, Any]) -> None:
    both = layer("gemm", v10("Half"), Metadata="[ONNX Layer: node_conv2d][ONNX Layer: add]")
    layers = [layer("Reformat", FLOAT), found, found, *([both] if "Metadata" in found else [])]
    assert prove_half(info(*layers), NODES).f16_convolutions == len(layers) - 1


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (layer("CaskConvolution", FLOAT, Weights={"Type": "Float"}), "FP32"),
        (layer("CaskConvolution", HALF, Weights={"Type": "Float"}), "FP16 and FP32"),
        (layer("CaskConvolution", HALF, FLOAT), "FP16 and FP32"),
        (layer("CaskConvolution", {"Format": "kHWC8", "DataType": "Float"}), "FP32"),
        (layer("CaskConvolution", v10("Channel major BFloat16 format")), "bf16"),
        (layer("CaskConvolution", v10("Row major Int8 format")), "int8"),
        (layer("CaskConvolution", v10("Row major linear FP8 format")), "f8"),
        (layer("CaskConvolution", UNKNOWN), "an unknown precision"),
        (layer("CaskConvolution", {}, Precision="FP16"), "an unknown precision"),
        (layer("kgen", v10("Float"), Metadata=NAMED), "FP32"),
    ],
)  # fmt: skip
def test_anything_else_is_refused(found: dict[str, Any], kind: str) -> None:
    good = layer("CaskConvolution", HALF)
    with pytest.raises(EngineError, match=rf"computes 1 of 3 convolutions in {kind} \(first: the "):
        prove_half(info(good, found, good), NODES)


def test_a_result_in_fp32_is_allowed() -> None:
    """The cast of the logits may be part of the last convolution."""
    last = layer("CaskConvolution", HALF, Outputs=[{"Name": "logits", **FLOAT}])
    assert prove_half(info(last), NODES) == Proof(1, covered=0, total=2)


def test_layers_that_move_data_are_no_convolutions() -> None:
    moved = layer("Reformat", FLOAT, Metadata=NAMED, ParameterType="Reformat")
    other = layer("kgen", v10("Float"), Metadata="[ONNX Layer: node_cast]")
    empty = layer("CaskConvolution")  # neither inputs nor weights
    found = prove_half(info(moved, other, empty, layer("CaskConvolution", HALF, **BOTH)), NODES)
    assert found.f16_convolutions == 1


def test_every_convolution_of_the_graph_is_in_a_layer_that_convolves() -> None:
    first, second = (layer("kgen", v10("Half"), Metadata=f"[ONNX Layer: {n}]") for n in NAMES)
    assert prove_half(info(first, second), NODES) == Proof(2, covered=2, total=2)
    assert prove_half(info(layer("fusion", HALF, **BOTH)), NODES) == Proof(1, 2, 2)
    missing = r"shows 1 of 2 convolutions \(missing: node_conv2d_1\)"
    moved = layer("Reformat", HALF, Metadata=NAMED)
    for others in ([], [moved], [layer("CaskConvolution", HALF)]):
        with pytest.raises(EngineError, match=missing):
            prove_half(info(first, *others), NODES)
    with pytest.raises(EngineError, match=r"shows 0 of 2 .*missing: node_conv2d, node_conv2d_1\)"):
        prove_half(info(layer("CaskConvolution", HALF, Metadata="[ONNX Layer: x]")), NODES)
    many = {f"n{i}" for i in range(9)}
    with pytest.raises(EngineError, match=r"0 of 9 .*n3, n4, …\)"):
        prove_half(info(layer("CaskConvolution", HALF, Metadata="[ONNX Layer: x]")), many)


@pytest.mark.parametrize("layers", [[], [layer("Reformat", HALF)], [layer("kgen", HALF)]])
def test_no_convolution_is_no_proof(layers: list[Any]) -> None:
    with pytest.raises(EngineError, match="shows no convolution"):
        prove_half(info(*layers), NODES)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "Layer 0: conv"])
def test_no_list_is_no_proof(text: str) -> None:
    with pytest.raises(EngineError, match="no list of layers"):
        prove_half(text, NODES)


def test_names_alone_are_no_proof() -> None:
    with pytest.raises(NamesOnlyError, match="names only"):
        prove_half(json.dumps({"Layers": ["node_conv2d + node_relu"]}), NODES)


def test_raw_control_characters_are_read() -> None:
    text = info(layer("kgen", v10("Half"), Metadata="[ONNX Layer: a]|[ONNX Layer: node_conv2d]"))
    assert prove_half(text.replace("|", "\x1e"), {"node_conv2d"}).covered == 1


def test_every_convolution_of_the_model_has_a_name(model: Model) -> None:
    graph = onnx.load_model_from_string(model.data).graph
    count = sum(node.op_type == "Conv" for node in graph.node)
    assert len(convolution_nodes(model)) == count > 0
