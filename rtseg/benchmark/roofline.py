"""The least time a network can take on a device, counted layer by layer from its ONNX graph.

A layer takes at least as long as its arithmetic at the device's matrix rate, and at least as long
as its bytes at the device's copy rate; the bound is the sum of the larger of the two over all
layers (the roofline of Williams, Waterman and Patterson, 2009, https://doi.org/10.1145/1498765.1498785).

What is assumed of an engine, all to its credit:
* Operators on single elements (`POINTWISE`) cost nothing of their own: they are fused to the layer
  that makes one of their operands, if nobody else reads that operand. Conv, Add and Relu are thus
  one layer; the other operand of the Add is one more input of it.
* Views (`VIEWS`) cost nothing: who makes an operand of a Concat writes it where it belongs.
* Every layer reads its inputs and weights once from memory and writes its outputs there, in the
  types of the file (FP16, and FP32 for the logits), or in FP32 where an engine computes in that.
* Convolutions and matrix products have FLOPs, two for a multiply-accumulate; nothing else has any.

A device with a large cache can be faster than this where a layer finds in it what the one before
has written; a share of more than 1 is possible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

if TYPE_CHECKING:
    from numpy.typing import NDArray

_POINTWISE = """
    Abs Add And BatchNormalization Cast Clip Div Elu Equal Erf Exp Gelu Greater GreaterOrEqual
    HardSigmoid HardSwish LeakyRelu Less LessOrEqual Max Min Mul Neg Not Or Pow PRelu Relu Sigmoid
    Sqrt Sub Tanh Where
"""
_VIEWS = "Concat Expand Flatten Identity Reshape Slice Split Squeeze Unsqueeze"
POINTWISE, VIEWS = frozenset(_POINTWISE.split()), frozenset(_VIEWS.split())
_FIRST_ONLY = frozenset(("Clip", "Pad", "Resize"))  # the others are scales, sizes and limits


class Rates(NamedTuple):
    """What a device reaches: flops, operations per second in the engine's precision; bytes, read +
    written per second."""

    flops: float
    bytes: float


class Layer(NamedTuple):
    """Operators that run as one. inputs, outputs, weights: bytes."""

    name: str
    operators: tuple[str, ...]
    flops: int
    inputs: int
    outputs: int
    weights: int

    @property
    def bytes(self) -> int:
        """Read and written."""
        return self.inputs + self.outputs + self.weights

    def seconds(self, rates: Rates) -> float:
        """The least this layer takes."""
        return max(self.flops / rates.flops, self.bytes / rates.bytes)


class Bound(NamedTuple):
    """A network at one size. ms: the least it takes; memory_share: of that time, how much is in
    layers that are bound by their bytes."""

    ms: float
    flops: int
    bytes: int
    layers: int
    memory_share: float


def bound(layers: Sequence[Layer], rates: Rates) -> Bound:
    """The sum over all layers. Raises ValueError without any."""
    if not layers:
        raise ValueError("no layers; expected those of a network")
    seconds = [layer.seconds(rates) for layer in layers]
    by_memory = sum(
        s for s, layer in zip(seconds, layers, strict=True) if s > layer.flops / rates.flops
    )
    return Bound(
        1e3 * sum(seconds),
        sum(layer.flops for layer in layers),
        sum(layer.bytes for layer in layers),
        len(layers),
        by_memory / sum(seconds),
    )


def count_layers(
    graph: onnx.ModelProto, size: tuple[int, int], *, float_bytes: int = 2
) -> list[Layer]:
    """The layers for one image of `size` (width, height), in the graph's order.

    float_bytes: that a number takes at least, 4 where an engine computes in FP32. Raises ValueError
    for a tensor whose shape does not follow from the size.
    """
    counting = _Counting(at_size(graph, size).graph, float_bytes)
    for node in counting.nodes:
        counting.add(node)
    return [counting.layer(group) for group in counting.groups]


def at_size(graph: onnx.ModelProto, size: tuple[int, int]) -> onnx.ModelProto:
    """A copy for one (1, 3, height, width) image: all tensors have shapes, and what does not depend
    on pixels (sizes, pooling matrices) is worked out."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(graph)
    for axis, length in enumerate((1, 3, size[1], size[0])):
        fixed.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = length
    for output in fixed.graph.output:
        output.type.tensor_type.ClearField("shape")
    while True:
        del fixed.graph.value_info[:]  # at first, of the exporter: sizes as symbols
        fixed = onnx.shape_inference.infer_shapes(fixed, data_prop=True)
        if not _fold(fixed):
            return fixed


def _fold(model: onnx.ModelProto) -> bool:
    """Replace operators whose operands are known by their results; whether there were any."""
    graph = model.graph
    shapes = {v.name: _shape(v) for v in (*graph.input, *graph.value_info)}
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    kept = []
    for node in graph.node:
        results = _evaluated(node, values, shapes, model.opset_import[0].version)
        if results is None:
            kept.append(node)
        for name, value in zip(node.output, results or (), strict=False):
            values[name] = value
            graph.initializer.append(numpy_helper.from_array(value, name))
    folded = len(kept) < len(graph.node)
    del graph.node[:]
    graph.node.extend(kept)
    return folded


def _evaluated(
    node: onnx.NodeProto,
    values: dict[str, NDArray[Any]],
    shapes: dict[str, tuple[int, ...] | None],
    opset: int,
) -> list[NDArray[Any]] | None:
    """The results of an operator on constants, or of a shape that is known."""
    if node.op_type == "Shape":
        shape = shapes.get(node.input[0]) or ()
        if not shape or any(length <= 0 for length in shape):
            return None
        ends = {a.name: a.i for a in node.attribute}
        return [np.array(shape[ends.get("start", 0) : ends.get("end")], np.int64)]
    if any(name not in values for name in node.input if name):
        return None
    run: Any = ReferenceEvaluator(node, opsets={"": opset}).run
    return [np.asarray(v) for v in run(None, {n: values[n] for n in node.input if n})]


class _Group:
    """A layer that grows. inputs: names of tensors, each once; output: of its last operator."""

    def __init__(self, node: onnx.NodeProto, operands: Iterable[str]) -> None:
        self.nodes = [node]
        self.inputs = dict.fromkeys(operands)
        self.outputs = [name for name in node.output if name]

    def absorb(self, node: onnx.NodeProto, operands: Iterable[str]) -> None:
        """Take in an operator that reads the output, and whatever else."""
        self.inputs |= dict.fromkeys(name for name in operands if name not in self.outputs)
        self.nodes.append(node)
        self.outputs = [name for name in node.output if name]


class _Counting:
    """Walks through a graph whose shapes are known. nodes: those that depend on the image."""

    def __init__(self, graph: onnx.GraphProto, least: int) -> None:
        values = [*graph.input, *graph.value_info, *graph.output]
        self._shapes = {v.name: _shape(v) for v in values}
        self._items = {v.name: _item(v.type.tensor_type.elem_type, least) for v in values}
        self._shapes |= {t.name: tuple(t.dims) for t in graph.initializer}
        self._items |= {t.name: _item(t.data_type, least) for t in graph.initializer}
        self._weights = {t.name for t in graph.initializer}
        self.nodes = list(graph.node)
        self._readers = Counter(name for node in self.nodes for name in node.input)
        self._readers.update(output.name for output in graph.output)
        self._expanded: dict[str, str] = {}
        self.groups: list[_Group] = []
        self._makers: dict[str, _Group] = {}

    def add(self, node: onnx.NodeProto) -> None:
        """A layer of its own, a part of the one before, or nothing."""
        data = node.input[:1] if node.op_type in _FIRST_ONLY else node.input
        operands = [n for n in data if n and not self._says_how(n)]
        if node.op_type in VIEWS:
            if node.op_type == "Expand":
                self._expanded[node.output[0]] = node.input[0]
            return
        group = self._host(node) if node.op_type in POINTWISE else None
        if group is None:
            group = _Group(node, operands)
            self.groups.append(group)
        else:
            group.absorb(node, operands)
        self._makers.update(dict.fromkeys(group.outputs, group))

    def _says_how(self, name: str) -> bool:
        """Whether it is no data, but a size, an axis or an index."""
        return name in self._weights and self._items[name] == 8

    def _host(self, node: onnx.NodeProto) -> _Group | None:
        """The last layer whose output only this operator reads, and keeps the size of."""
        size = prod(self._shape(node.output[0]))
        hosts = [
            self._makers[name]
            for name in node.input
            if name in self._makers
            and self._readers[name] == 1
            and prod(self._shape(name)) == size
            and len(self._makers[name].outputs) == 1
        ]
        return max(hosts, key=self.groups.index, default=None)

    def layer(self, group: _Group) -> Layer:
        """What a finished group costs."""
        weights = [n for n in group.inputs if n in self._weights]
        inputs = [n for n in group.inputs if n not in self._weights]
        read = [n for n in group.outputs if self._readers[n]]
        return Layer(
            group.nodes[0].name or group.nodes[0].output[0],
            tuple(node.op_type for node in group.nodes),
            sum(self._flops(node) for node in group.nodes),
            sum(map(self._bytes, inputs)),
            sum(map(self._bytes, read)),
            sum(map(self._bytes, weights)),
        )

    def _flops(self, node: onnx.NodeProto) -> int:
        if node.op_type == "Conv":
            pixels = prod(self._shape(node.output[0])[2:])
            return 2 * prod(self._shape(node.input[1])) * pixels
        if node.op_type == "ConvTranspose":  # the weights apply once to each input pixel
            return 2 * prod(self._shape(node.input[1])) * prod(self._shape(node.input[0])[2:])
        if node.op_type == "MatMul":
            return 2 * prod(self._shape(node.output[0])) * self._shape(node.input[0])[-1]
        if node.op_type == "Gemm":
            turned = any(a.name == "transA" and a.i for a in node.attribute)
            depth = self._shape(node.input[0])[0 if turned else 1]
            return 2 * prod(self._shape(node.output[0])) * depth
        return 0

    def _bytes(self, name: str) -> int:
        name = self._expanded.get(name, name)
        return prod(self._shape(name)) * self._items[name]

    def _shape(self, name: str) -> tuple[int, ...]:
        shape = self._shapes.get(name)
        if shape is None or any(length <= 0 for length in shape):
            raise ValueError(f"the shape of {name} does not follow from the image's size: {shape}")
        return shape


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    kind = value.type.tensor_type
    return tuple(dim.dim_value for dim in kind.shape.dim) if kind.HasField("shape") else None


def _item(kind: int, least: int) -> int:
    """Bytes of an element of an ONNX type; a number with a fraction has at least `least`."""
    element = np.dtype(helper.tensor_dtype_to_np_dtype(kind))
    return max(element.itemsize, least) if element.kind == "f" else element.itemsize
