"""An FP16 graph in FP32, for runtimes that have no FP16 convolutions on a CPU."""

from __future__ import annotations

import onnx
from onnx import TensorProto, numpy_helper


def in_f32(data: bytes) -> bytes:
    """The same graph; all numbers, inputs and casts that were FP16 are FP32."""
    model = onnx.load_model_from_string(data)
    graph = model.graph
    for tensor in graph.initializer:
        _widen(tensor)
    for value in (*graph.input, *graph.output, *graph.value_info):
        kind = value.type.tensor_type
        if kind.elem_type == TensorProto.FLOAT16:
            kind.elem_type = TensorProto.FLOAT
    for attribute in (a for node in graph.node for a in node.attribute):
        if attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
            attribute.i = TensorProto.FLOAT
        if attribute.HasField("t"):
            _widen(attribute.t)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _widen(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT16:
        values = numpy_helper.to_array(tensor).astype("float32")
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
