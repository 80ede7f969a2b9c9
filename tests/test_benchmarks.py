"""Every benchmark still runs, at tiny sizes, with no time asserted; and what a roofline counts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

torch = pytest.importorskip("torch")
FOLDER = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(FOLDER))
from rtseg.benchmark.roofline import Layer, Rates, at_size, bound, count_layers  # noqa: E402
from rtseg.model import Model, list_models  # noqa: E402

SCRIPTS = sorted(set(FOLDER.glob("bench_*.py")) - {FOLDER / "bench_gpu.py"})  # test_gpu_check.py


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_it_runs(script: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(script)], env=os.environ | {"RTSEG_BENCH_TINY": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "median" in done.stdout or "fps" in done.stdout


# The roofline, on graphs that are counted by hand

HALF, FULL = TensorProto.FLOAT16, TensorProto.FLOAT


def weight(name: str, *shape: int) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.zeros(shape, np.float16), name)


def graph(*nodes: onnx.NodeProto, weights: tuple = (), result: int = HALF) -> onnx.ModelProto:
    """From "image", of free height and width, to "out"."""
    image = helper.make_tensor_value_info("image", HALF, [1, 3, "H", "W"])
    out = helper.make_tensor_value_info("out", result, [1, "c", "h", "w"])
    made = helper.make_graph(nodes, "test", [image], [out], list(weights))
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])


def conv(x: str, w: str, y: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node("Conv", [x, w], [y], **attributes)


def node(operator: str, operands: str, result: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(operator, operands.split(), [result], **attributes)


RESIDUAL = graph(
    conv("image", "w1", "a", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
    node("Relu", "a", "b"),
    conv("b", "w2", "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=4),
    node("Add", "b c", "d"),
    node("Relu", "d", "e"),
    conv("e", "w3", "f", kernel_shape=[1, 1]),
    node("Cast", "f", "out", to=FULL),
    weights=(weight("w1", 8, 3, 3, 3), weight("w2", 8, 2, 3, 3), weight("w3", 5, 8, 1, 1)),
    result=FULL,
)


def test_convolutions_as_counted_by_hand() -> None:
    first, second, third = count_layers(RESIDUAL, (16, 8))
    pixels = 8 * 4
    assert first.operators == ("Conv", "Relu")
    assert (first.inputs, first.outputs) == (2 * 3 * 16 * 8, 2 * 8 * pixels)
    assert first.weights == 2 * 8 * 3 * 9
    assert first.flops == 2 * 8 * 3 * 9 * pixels
    assert second.operators == ("Conv", "Add", "Relu")
    assert second.inputs == 2 * 8 * pixels  # read once, though it is operand of Conv and of Add
    assert second.flops == 2 * 8 * 2 * 9 * pixels  # four groups
    assert third.operators == ("Conv", "Cast")
    assert third.outputs == 4 * 5 * pixels  # logits are FP32
    assert third.bytes == 2 * 8 * pixels + 4 * 5 * pixels + 2 * 40


def test_an_add_belongs_to_the_layer_that_runs_last() -> None:
    two = graph(
        conv("image", "w", "a", kernel_shape=[1, 1]),
        conv("image", "w", "b", kernel_shape=[1, 1]),
        node("Add", "b a", "out"),
        weights=(weight("w", 4, 3, 1, 1),),
    )
    first, second = count_layers(two, (4, 4))
    assert (first.operators, second.operators) == (("Conv",), ("Conv", "Add"))
    assert second.inputs == 2 * 3 * 16 + 2 * 4 * 16


def test_what_others_read_too_is_written() -> None:
    """A sigmoid of a tensor that is read twice is a layer of its own."""
    gated = graph(
        conv("image", "w", "a", kernel_shape=[1, 1]),
        node("Sigmoid", "a", "b"),
        node("Mul", "a b", "out"),
        weights=(weight("w", 4, 3, 1, 1),),
    )
    layers = count_layers(gated, (4, 4))
    assert [layer.operators for layer in layers] == [("Conv",), ("Sigmoid", "Mul")]
    assert layers[1].inputs == layers[1].outputs == 2 * 4 * 16


def test_views_move_nothing_and_matrix_products_have_flops() -> None:
    made = graph(
        node("Concat", "image image", "a", axis=1),
        node("MatMul", "a w", "out"),
        weights=(weight("w", 4, 5),),
    )
    (layer,) = count_layers(made, (4, 6))
    assert layer.flops == 2 * (6 * 6 * 5) * 4
    assert layer.inputs == 2 * 6 * 6 * 4


def test_a_transposed_convolution_works_on_each_input_pixel() -> None:
    made = graph(
        node("ConvTranspose", "image w", "out", kernel_shape=[2, 2], strides=[2, 2]),
        weights=(weight("w", 3, 5, 2, 2),),
    )
    (layer,) = count_layers(made, (4, 6))
    assert layer.flops == 2 * 3 * 5 * 4 * 24
    assert layer.outputs == 2 * 5 * 12 * 8


def test_sizes_that_the_graph_works_out_itself_are_followed() -> None:
    made = graph(
        node("Shape", "image", "shape", start=2),
        node("Mul", "shape two", "double"),
        node("Concat", "batch double", "sizes", axis=0),
        helper.make_node(
            "Resize", ["image", "", "", "sizes"], ["out"], mode="nearest"
        ),
        weights=(
            onnx.numpy_helper.from_array(np.array([2, 2]), "two"),
            onnx.numpy_helper.from_array(np.array([1, 3]), "batch"),
        ),
    )  # fmt: skip
    (layer,) = count_layers(made, (8, 4))
    assert (layer.inputs, layer.outputs, layer.flops) == (2 * 3 * 32, 2 * 3 * 128, 0)


def test_a_shape_that_nobody_knows_is_refused() -> None:
    made = graph(node("NonZero", "image", "a"), node("Cast", "a", "out", to=HALF))
    with pytest.raises(ValueError, match="does not follow from the image's size"):
        count_layers(made, (4, 4))


def test_the_given_graph_is_left_alone() -> None:
    before = RESIDUAL.SerializeToString()
    assert len(at_size(RESIDUAL, (16, 8)).graph.value_info) == 6
    assert RESIDUAL.SerializeToString() == before


def test_the_bound_is_a_sum_of_maxima() -> None:
    rates = Rates(flops=1e9, bytes=1e6)
    by_bytes = Layer("a", ("Conv",), flops=1000, inputs=500, outputs=400, weights=100)
    by_flops = Layer("b", ("Conv",), flops=3_000_000, inputs=1, outputs=1, weights=1)
    found = bound([by_bytes, by_flops], rates)
    assert found.ms == pytest.approx(1.0 + 3.0)
    assert (found.flops, found.bytes, found.layers) == (3_001_000, 1003, 2)
    assert found.memory_share == pytest.approx(0.25)
    with pytest.raises(ValueError, match="no layers"):
        bound([], rates)


@pytest.mark.parametrize("name", list_models())
def test_shipped_models_have_the_macs_that_were_counted_at_export(name: str) -> None:
    """`count_macs` of the network, which the contract keeps."""
    model = Model.load(name)
    loaded = onnx.load_model_from_string(model.data)
    layers = count_layers(loaded, model.contract.trained_size)
    assert sum(layer.flops for layer in layers) / 2e9 == pytest.approx(
        model.contract.gmacs, abs=5.1e-5
    )
    weights = sum(layer.weights for layer in layers)
    stored = sum(np.prod(t.dims) for t in loaded.graph.initializer if t.data_type == HALF)
    assert weights == 2 * stored
    double = count_layers(loaded, tuple(2 * length for length in model.contract.trained_size))
    assert sum(x.flops for x in double) == 4 * sum(x.flops for x in layers)
    assert [x.weights for x in double] == [x.weights for x in layers]


def test_a_network_as_it_is_built_has_the_macs_of_its_graph() -> None:
    """Every operator of a network with pooling pyramids and depthwise convolutions."""
    from rtseg.networks import build
    from rtseg.networks.counting import count_macs
    from rtseg.training.survey import random_model

    model, size = random_model("fastscnn"), (128, 96)
    layers = count_layers(onnx.load_model_from_string(model.data), size)
    convolutions = sum(x.flops for x in layers if "Conv" in x.operators)
    assert convolutions == 2 * count_macs(build("fastscnn", 11), *size)
    assert sum(x.flops for x in layers) < 1.02 * convolutions  # the rest: pooling by matrices
