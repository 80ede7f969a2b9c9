"""Which ONNX operators TensorRT's parser takes, and of which types: a table, and a check by it.

The builder itself runs where there is an NVIDIA GPU only; this says beforehand what would fail.
Source: the parser's support matrix, https://github.com/onnx/onnx-tensorrt/blob/main/docs/operators.md
(TensorRT 10.x), for the operators that networks of this kind can contain. An operator that is not
in the table counts as unsupported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from rtseg.errors import ModelError

if TYPE_CHECKING:
    import onnx

FLOAT = frozenset({"FLOAT", "FLOAT16", "BFLOAT16"})
NUMBER = FLOAT | {"INT32", "INT64"}
ANY = NUMBER | {"BOOL"}
BOOL = frozenset({"BOOL"})
INTEGER = frozenset({"INT32", "INT64"})

_FLOAT_ONLY = """
    ArgMax AveragePool BatchNormalization Ceil Clip Conv ConvTranspose CumSum Einsum Elu Erf Exp
    Floor Gelu Gemm GlobalAveragePool GlobalMaxPool GridSample HardSigmoid HardSwish
    InstanceNormalization LayerNormalization LeakyRelu Log LogSoftmax LRN MatMul MaxPool Mish
    Pow PRelu Reciprocal Relu Resize Round Selu Sigmoid Softmax Softplus Sqrt Tanh TopK
"""
_NUMBERS = """
    Abs Add DepthToSpace Div Equal Gather GatherElements GatherND Greater GreaterOrEqual Less
    LessOrEqual Max Mean Min Mod Mul Neg Pad Range ReduceL1 ReduceL2 ReduceMax ReduceMean
    ReduceMin ReduceProd ReduceSum ScatterElements ScatterND Sign SpaceToDepth Sub Sum
"""
_ALL_TYPES = """
    Cast Concat Constant ConstantOfShape Expand Flatten Identity Reshape Shape Size Slice Split
    Squeeze Tile Transpose Unsqueeze Where
"""
_GROUPS = ((FLOAT, _FLOAT_ONLY), (NUMBER, _NUMBERS), (ANY, _ALL_TYPES), (BOOL, "And Not Or Xor"))
SUPPORTED: dict[str, frozenset[str]] = {
    name: types for types, names in _GROUPS for name in names.split()
}
"""Operator → names of the ONNX element types its tensors may have."""

KNOWN_UNSUPPORTED = {
    "MaxUnpool": "no such layer; rtseg.networks.upsampling.MaxUnpool is made of supported ones",
    "Col2Im": "no such layer",
    "AffineGrid": "no such layer",
    "CenterCropPad": "no such layer; use Slice or Pad",
}
"""Reasons that say more than "not in the table"."""


class Problem(NamedTuple):
    """A node that TensorRT's parser would refuse, and why."""

    node: str
    operator: str
    reason: str


def check_operators(graph: onnx.ModelProto) -> list[Problem]:
    """The nodes of a graph that TensorRT's parser would refuse; empty if it takes them all.

    Types are those of shape inference: a tensor whose type it cannot tell is a problem too.
    Raises ModelError for a graph that is not consistent.
    """
    import onnx

    try:
        inferred = onnx.shape_inference.infer_shapes(graph, data_prop=True)
    except onnx.shape_inference.InferenceError as exc:
        raise ModelError(f"the types of its tensors cannot be worked out: {exc}") from exc
    types = _element_types(inferred)
    return [
        Problem(node.name or node.output[0], node.op_type, reason)
        for node in inferred.graph.node
        for reason in _reasons(node, types)
    ]


def _reasons(node: onnx.NodeProto, types: dict[str, str]) -> Iterable[str]:
    allowed = SUPPORTED.get(node.op_type)
    if node.domain not in ("", "ai.onnx"):
        yield f"operator of the domain {node.domain}"
    elif allowed is None:
        yield KNOWN_UNSUPPORTED.get(node.op_type, "not in TensorRT's table")
    else:
        for name in filter(None, [*node.input, *node.output]):
            kind = types.get(name, "unknown")
            if kind not in allowed | _INDEX_TYPES.get(node.op_type, frozenset()):
                yield f"{name} is {kind}; expected {', '.join(sorted(allowed))}"
        reason = _LIMITS[node.op_type](node) if node.op_type in _LIMITS else ""
        if reason:
            yield reason


# Operators with an operand of another type than the rest: indices, sizes, a condition, a result.
_INDEX_TYPES: dict[str, frozenset[str]] = {
    **dict.fromkeys(("ArgMax", "CumSum", "Gather", "Resize", "TopK"), INTEGER),
    **dict.fromkeys(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"), BOOL),
    "Pad": BOOL,
}


def _element_types(graph: onnx.ModelProto) -> dict[str, str]:
    """Name of every tensor → name of its element type."""
    from onnx import TensorProto

    values = [*graph.graph.input, *graph.graph.value_info, *graph.graph.output]
    numbers = {v.name: v.type.tensor_type.elem_type for v in values}
    numbers |= {t.name: t.data_type for t in graph.graph.initializer}
    return {name: TensorProto.DataType.Name(number) for name, number in numbers.items()}


def _attribute(node: onnx.NodeProto, name: str) -> object:
    import onnx

    found = [a for a in node.attribute if a.name == name]
    return onnx.helper.get_attribute_value(found[0]) if found else None


def _pool(node: onnx.NodeProto) -> str:
    if len(node.output) > 1 and node.output[1]:
        return "has an Indices output"
    dilations = _attribute(node, "dilations")
    if isinstance(dilations, list) and any(d != 1 for d in dilations):
        return f"dilations {dilations}; expected 1"
    return ""


def _resize(node: onnx.NodeProto) -> str:
    mode = _attribute(node, "mode") or b"nearest"
    how = _attribute(node, "coordinate_transformation_mode") or b"half_pixel"
    if mode not in (b"nearest", b"linear"):
        return f"mode {_text(mode)}; expected nearest or linear"
    if how not in (b"half_pixel", b"pytorch_half_pixel", b"align_corners", b"asymmetric"):
        return f"coordinates {_text(how)}; expected half_pixel, align_corners or asymmetric"
    return "antialias is not supported" if _attribute(node, "antialias") else ""


def _pad(node: onnx.NodeProto) -> str:
    mode = _attribute(node, "mode") or b"constant"
    if mode in (b"constant", b"reflect", b"edge"):
        return ""
    return f"mode {_text(mode)}; expected constant, reflect or edge"


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


_LIMITS: dict[str, Callable[[onnx.NodeProto], str]] = {
    "MaxPool": _pool,
    "AveragePool": _pool,
    "Resize": _resize,
    "Pad": _pad,
}
