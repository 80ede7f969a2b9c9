"""Small graphs of one operator each, from an image to y."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = (12, 8)  # width, height


def graph(*nodes: onnx.NodeProto, **constants: np.ndarray) -> onnx.ModelProto:
    """image (1, 3, 8, 12) float32 → y, by these nodes."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIZE[1], SIZE[0]])
    return helper.make_model(
        helper.make_graph(
            list(nodes), "g", [image], [helper.make_empty_tensor_value_info("y")],
            [numpy_helper.from_array(v, k) for k, v in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
    )  # fmt: skip


def node(operator: str, *more: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, ["image", *more], ["y"], name="it", **attributes)


def noise(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


WEIGHT = noise(6, 3, 3, 3)
LAYERS = {
    "Conv": (
        node("Conv", "w", "b", pads=[1, 2, 1, 2], strides=[2, 1], dilations=[1, 2]),
        {"w": WEIGHT, "b": noise(6)},
    ),
    "Conv, pads of different sides": (node("Conv", "w", pads=[0, 1, 2, 1]), {"w": WEIGHT}),
    "Conv, groups": (node("Conv", "w", group=3), {"w": noise(6, 1, 3, 3)}),
    "ConvTranspose": (
        node(
            "ConvTranspose", "w", "b", pads=[1, 1, 1, 1], strides=[2, 2], output_padding=[1, 1]
        ),
        {"w": noise(3, 5, 3, 3), "b": noise(5)},
    ),
    "MaxPool": (
        node("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), {},
    ),
    "AveragePool": (
        node("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), {},
    ),
    "AveragePool, pads counted": (
        node(
            "AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1],
            count_include_pad=1,
        ),
        {},
    ),
    "GlobalAveragePool": (node("GlobalAveragePool"), {}),
    "GlobalMaxPool": (node("GlobalMaxPool"), {}),
    "BatchNormalization": (
        node("BatchNormalization", "s", "b", "m", "v"),
        {"s": noise(3), "b": noise(3), "m": noise(3), "v": np.abs(noise(3)) + 1},
    ),
    "InstanceNormalization": (
        node("InstanceNormalization", "s", "b"), {"s": noise(3), "b": noise(3)},
    ),
    "LayerNormalization": (
        node("LayerNormalization", "s", "b"), {"s": noise(12), "b": noise(12)},
    ),
    "MatMul": (node("MatMul", "m"), {"m": noise(12, 5)}),
    "Resize, linear": (
        node("Resize", "", "s", mode="linear"), {"s": np.array([1, 1, 2, 2], np.float32)},
    ),
    "Resize, linear, to sizes": (
        node("Resize", "", "", "n", mode="linear"), {"n": np.array([1, 3, 13, 7])},
    ),
    "Resize, align_corners": (
        node(
            "Resize", "", "", "n", mode="linear", coordinate_transformation_mode="align_corners"
        ),
        {"n": np.array([1, 3, 13, 17])},
    ),
    "Resize, nearest": (
        node(
            "Resize", "", "s", mode="nearest", nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        ),
        {"s": np.array([1, 1, 2, 3], np.float32)},
    ),
    "Resize, nearest by default": (
        node("Resize", "", "s"), {"s": np.array([1, 1, 2, 4], np.float32)},
    ),
}  # fmt: skip
ELEMENTS = {
    **{
        name: (node(name), {})
        for name in [
            "Relu",
            "Sigmoid",
            "Tanh",
            "Exp",
            "Abs",
            "Neg",
            "Floor",
            "Ceil",
            "Round",
            "Sign",
            "Erf",
            "Softplus",
            "HardSwish",
            "Identity",
            "Reciprocal",
            "HardSigmoid",
            "LeakyRelu",
            "Elu",
            "Selu",
            "Softmax",
            "LogSoftmax",
            "Mish",
        ]
    },
    **{
        name: (node(name, "o"), {"o": noise(3, 1, 1) + 3})
        for name in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum")
    },
    "Softmax over channels": (node("Softmax", axis=1), {}),
    "PRelu": (node("PRelu", "s"), {"s": noise(3, 1, 1)}),
    "PRelu, each pixel": (node("PRelu", "s"), {"s": noise(3, 8, 12)}),
    "Clip": (
        node("Clip", "l", "h"),
        {"l": np.array(-0.5, np.float32), "h": np.array(0.25, np.float32)},
    ),
    "Clip, below only": (node("Clip", "l"), {"l": np.array(-0.5, np.float32)}),
    "ReduceMean": (node("ReduceMean", "a", keepdims=1), {"a": np.array([2, 3])}),
    "ReduceMean of all": (node("ReduceMean", keepdims=0), {}),
    "ReduceSum": (node("ReduceSum", "a", keepdims=0), {"a": np.array([-1])}),
    "ReduceMax": (node("ReduceMax", "a", keepdims=1), {"a": np.array([1])}),
    "ReduceMin": (node("ReduceMin", "a", keepdims=0), {"a": np.array([1, 2])}),
    "ReduceProd": (node("ReduceProd", "a", keepdims=0), {"a": np.array([1, 3])}),
    "ArgMax": (node("ArgMax", axis=1), {}),
}
LAYOUT = {
    "Concat": (node("Concat", "o", axis=1), {"o": noise(1, 2, 8, 12)}),
    "Reshape": (node("Reshape", "s"), {"s": np.array([0, 3, -1, 6])}),
    "Flatten": (node("Flatten", axis=2), {}),
    "Transpose": (node("Transpose", perm=[0, 2, 3, 1]), {}),
    "Expand": (node("Expand", "s"), {"s": np.array([2, 1, 8, 1])}),
    "Tile": (node("Tile", "s"), {"s": np.array([1, 2, 1, 3])}),
    "Unsqueeze": (node("Unsqueeze", "a"), {"a": np.array([0, -1])}),
    "Squeeze": (node("Squeeze", "a"), {"a": np.array([0])}),
    "Slice": (
        node("Slice", "s", "e", "a", "t"),
        {
            "s": np.array([1, -6]), "e": np.array([2**62, -1]), "a": np.array([2, 3]),
            "t": np.array([2, 1]),
        },
    ),
    "Gather": (node("Gather", "i", axis=3), {"i": np.array([[0, -1], [5, 2]])}),
    "Pad": (
        node("Pad", "p", "v"),
        {"p": np.array([0, 1, 2, 0, 0, 0, 1, 3]), "v": np.array(7, np.float32)},
    ),
    "Pad, reflect": (node("Pad", "p", mode="reflect"), {"p": np.array([0, 0, 2, 1, 0, 0, 1, 3])}),
    "Pad, edge": (node("Pad", "p", mode="edge"), {"p": np.array([0, 0, 2, 1, 0, 0, 1, 3])}),
    "Pad, some axes": (
        node("Pad", "p", "", "a"), {"p": np.array([1, 0, 2, 3]), "a": np.array([3, 2])},
    ),
    "SpaceToDepth": (node("SpaceToDepth", blocksize=2), {}),
}  # fmt: skip
CASES = {**LAYERS, **ELEMENTS, **LAYOUT}
