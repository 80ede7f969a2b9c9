"""A model file's graph as a torch module: against OpenVINO, and each operator against ONNX's own
reference implementation in numpy."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from onnx_cases import CASES, SIZE, WEIGHT, graph, node, noise

torch = pytest.importorskip("torch")

from rtseg.backends import build_engine  # noqa: E402
from rtseg.backends.onnx_module import OPERATORS, OnnxModule, module_of  # noqa: E402
from rtseg.backends.operators import SUPPORTED  # noqa: E402
from rtseg.errors import ModelError  # noqa: E402
from rtseg.model import Model, list_models  # noqa: E402

IN_NETWORKS = (
    "Add", "And", "AveragePool", "Cast", "Concat", "Conv", "ConvTranspose", "DepthToSpace", "Div",
    "Equal", "Expand", "GreaterOrEqual", "Less", "MatMul", "MaxPool", "Mod", "Mul", "PRelu", "Pad",
    "Range", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Resize", "Shape", "Sigmoid", "Split",
    "Squeeze", "Sub", "Transpose", "Unsqueeze",
)  # fmt: skip
"""What the exported graphs of all networks consist of."""


def both(model: onnx.ModelProto) -> tuple[np.ndarray, np.ndarray]:
    """Ours and the reference's, of a noisy image."""
    image = noise(1, 3, SIZE[1], SIZE[0], seed=0)
    with torch.inference_mode():
        ours = OnnxModule(model, SIZE)(torch.from_numpy(image)).numpy()
    (theirs,) = ReferenceEvaluator(model).run(None, {"image": image})
    return ours, np.asarray(theirs, np.float32)


@pytest.mark.parametrize("name", list_models())
def test_shipped_models_agree_with_openvino(name: str) -> None:
    model, size = Model.load(name), (240, 184)
    context = build_engine(model, size, backend="openvino", precision="f32").context()
    context.input[:] = noise(3, size[1], size[0])
    expected = context.run()
    with torch.inference_mode():
        image = torch.from_numpy(context.input[None])
        logits = module_of(model, size, torch.float32)(image)[0].numpy()
    assert np.abs(logits - expected).max() < 1e-3 * np.ptp(expected)


def test_every_operator_of_the_networks_is_there() -> None:
    assert set(IN_NETWORKS) <= OPERATORS.keys()
    assert set(IN_NETWORKS) <= SUPPORTED.keys()


@pytest.mark.parametrize("case", CASES)
def test_operator_against_the_reference_of_onnx(case: str) -> None:
    operator, constants = CASES[case]
    ours, theirs = both(graph(operator, **constants))
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_max_pooling_with_pads_of_different_sides() -> None:
    """Against the same with padding of its own: the reference mixes the sides up here."""
    pool = {"kernel_shape": [2, 2], "strides": [1, 1]}
    inside = node("MaxPool", **pool, pads=[0, 0, 1, 1])
    outside = (
        helper.make_node("Pad", ["image", "p", "low"], ["padded"]),
        helper.make_node("MaxPool", ["padded"], ["y"], **pool),
    )
    pads = {"p": np.array([0, 0, 0, 0, 0, 0, 1, 1]), "low": np.array(-np.inf, np.float32)}
    image = torch.from_numpy(noise(1, 3, SIZE[1], SIZE[0]))
    ours = OnnxModule(graph(inside), SIZE)(image).numpy()
    (expected,) = ReferenceEvaluator(graph(*outside, **pads)).run(None, {"image": image.numpy()})
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("order", ["DCR", "CRD"])
def test_depth_to_space(order: str) -> None:
    nodes = (
        helper.make_node("Concat", ["image"] * 4, ["wide"], axis=1),
        helper.make_node("DepthToSpace", ["wide"], ["y"], blocksize=2, mode=order),
    )
    ours, theirs = both(graph(*nodes))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("attributes", "more"), [({"num_outputs": 2}, ()), ({}, ("n",))], ids=["equal", "given"]
)
def test_split(attributes: dict[str, int], more: tuple[str, ...]) -> None:
    nodes = (
        helper.make_node("Split", ["image", *more], ["a", "b"], axis=3, **attributes),
        helper.make_node("Concat", ["b", "a"], ["y"], axis=3),
    )
    ours, theirs = both(graph(*nodes, n=np.array([5, 7])))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "operator", ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Xor"]
)
def test_comparisons_choose(operator: str) -> None:
    logical = operator in ("And", "Or", "Xor")
    nodes = (
        helper.make_node("Floor", ["image"], ["whole"]),
        helper.make_node("Greater", ["whole", "zero"], ["a"]),
        helper.make_node("Less", ["image", "half"], ["b"]),
        helper.make_node(operator, ["a", "b"] if logical else ["whole", "zero"], ["mask"]),
        helper.make_node("Not", ["mask"], ["other"]),
        helper.make_node("Where", ["other", "image", "half"], ["y"]),
    )
    ours, theirs = both(graph(*nodes, zero=np.zeros(1, np.float32), half=np.full(1, 0.5, "f4")))
    np.testing.assert_array_equal(ours, theirs)


def test_arithmetic_of_sizes_is_done_when_the_module_is_built() -> None:
    nodes = (
        helper.make_node("Shape", ["image"], ["s"]),
        helper.make_node("Gather", ["s", "two"], ["h"]),
        helper.make_node("Shape", ["image"], ["w"], start=3, end=4),
        helper.make_node("Div", ["h", "three"], ["h3"]),  # of integers: rounded towards zero
        helper.make_node("Concat", ["ones", "h3", "w"], ["n"], axis=0),
        helper.make_node("Range", ["zero", "four", "one"], ["r"]),
        helper.make_node("Cast", ["r"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["f"], ["six"], keepdims=0),
        helper.make_node("Resize", ["image", "", "", "n"], ["small"], mode="linear"),
        helper.make_node("Mul", ["small", "six"], ["y"]),
    )
    model = graph(
        *nodes, two=np.array([2]), three=np.array([3]), ones=np.array([1, 3]),
        zero=np.array(0), four=np.array(4), one=np.array(1),
    )  # fmt: skip
    ours, theirs = both(model)
    assert ours.shape == (1, 3, 2, 12)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    assert len(OnnxModule(model, SIZE)._steps) == 2


def test_export_sees_tensor_operators_only(model: Model) -> None:
    module = module_of(model, (64, 48), torch.float16)
    program = torch.export.export(module, (torch.zeros(1, 3, 48, 64, dtype=torch.half),))
    values = [n.meta.get("val") for n in program.graph.nodes if n.op == "call_function"]
    tensors = [v for v in values if isinstance(v, torch.Tensor)]
    assert len(tensors) >= 100
    assert not [v for v in values if v is not None and not isinstance(v, torch.Tensor)]
    assert {v.dtype for v in tensors} == {torch.float16, torch.float32}
    logits = {tuple(v.shape) for v in tensors if v.dtype == torch.float32}
    assert logits == {(1, 11, 12, 16)}  # nothing else is in FP32


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_weights_have_the_wanted_type(model: Model, dtype: torch.dtype) -> None:
    module = module_of(model, (64, 48), dtype)
    assert {buffer.dtype for buffer in module.buffers()} == {dtype}
    with torch.inference_mode():
        assert module(torch.zeros(1, 3, 48, 64)).dtype == torch.float32


def refused(*nodes: onnx.NodeProto, **constants: np.ndarray) -> str:
    with pytest.raises(ModelError) as caught:
        OnnxModule(graph(*nodes, **constants), SIZE)
    return str(caught.value)


def test_an_unknown_operator_is_named_with_its_node() -> None:
    message = refused(node("CumSum", "a"), a=np.array(1))
    assert "node it (CumSum)" in message
    assert "another backend" in message
    assert "(FastGelu)" in refused(node("FastGelu", domain="com.microsoft"))
    assert "(Relu)" in refused(node("Relu", domain="nobody"))


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([helper.make_node("MaxPool", ["image"], ["y", "i"], kernel_shape=[2, 2])], "indices"),
        ([node("Conv", "w", auto_pad="SAME_UPPER")], "auto_pad"),
        ([node("Conv", "wrong")], "channel"),
        ([node("Add", "nowhere")], "nowhere"),
        ([node("Resize", "", "s", mode="cubic")], "cubic"),
        ([node("Resize", "", "s", mode="linear", antialias=1)], "antialias"),
        ([node("Pad", "pads", mode="wrap")], "wrap"),
        ([node("Slice", "one", "one", "one", "back")], "steps"),
        ([node("Cast", to=TensorProto.COMPLEX64)], "ONNX type 14"),
        (
            [
                helper.make_node("ReduceSum", ["image"], ["sum"], keepdims=1),
                helper.make_node("Cast", ["sum"], ["whole"], to=TensorProto.INT64),
                helper.make_node("Reshape", ["image", "whole"], ["y"]),
            ],
            "depends on the image",
        ),
    ],
)
def test_uses_that_torch_lacks_are_refused(nodes: list[onnx.NodeProto], reason: str) -> None:
    message = refused(
        *nodes, w=WEIGHT, wrong=noise(6, 4, 3, 3), s=np.array([1, 1, 2, 2], np.float32),
        pads=np.zeros(8, np.int64), one=np.array([1]), back=np.array([-1]),
    )  # fmt: skip
    assert reason in message
    assert message.startswith("node ")
