"""A node of an ONNX graph as the operator tables see it.

An operator is a function of a `Node` that returns the function to run: `operator(node)(*tensors)`.
What the node fixes (attributes, and operands that are settings, such as the target of a Reshape) is
read once, when the module is built; only tensors are left for the run.
Semantics: https://onnx.ai/onnx/operators/, opset 18.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from rtseg.errors import ModelError

if TYPE_CHECKING:
    import onnx

Run: TypeAlias = Callable[..., Any]
"""Takes the node's tensors (None for an optional one that is absent); gives a tensor, or a tuple of
them for several outputs."""

FIRST_ONLY = frozenset((
    "Clip", "Expand", "Pad", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
    "Reshape", "Resize", "Shape", "Size", "Slice", "Split", "Squeeze", "Tile", "Unsqueeze",
))  # fmt: skip
"""Operators of one tensor: their other operands are settings."""

_TYPES = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 6: torch.int32, 7: torch.int64,
    9: torch.bool, 11: torch.float64,
}  # fmt: skip
_FLOAT16 = 10


class Node:
    """An operator's name, attributes, and what is known of its operands.

    constants: the value of each operand that does not depend on the image, else None; shapes: the
    shape of each operand, None for an optional one that is absent; half: what the file's FLOAT16
    stands for in this module.
    """

    def __init__(
        self,
        proto: onnx.NodeProto,
        constants: list[Tensor | None],
        shapes: list[tuple[int, ...] | None],
        half: torch.dtype,
    ) -> None:
        from onnx.helper import get_attribute_value

        self.operator: str = proto.op_type
        self.name: str = proto.name or proto.output[0]
        self.outputs = len(proto.output)
        self.constants, self.shapes, self.half = constants, shapes, half
        self._attributes = {a.name: get_attribute_value(a) for a in proto.attribute}

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute; text as str."""
        value = self._attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def constant(self, index: int) -> Tensor | None:
        """The value of a setting; None if it is absent. Raises ModelError if it depends on the
        image."""
        if index >= len(self.constants) or self.shapes[index] is None:
            return None
        if self.constants[index] is None:
            raise self.refused(f"operand {index} depends on the image")
        return self.constants[index]

    def ints(self, index: int, attribute: str = "") -> list[int] | None:
        """A list of integers that is operand `index`, or an attribute in older opsets."""
        value = self.constant(index)
        if value is not None:
            return [int(v) for v in value.flatten().tolist()]
        found = self.get(attribute) if attribute else None
        return None if found is None else [int(v) for v in found]

    def axes(self, index: int) -> list[int] | None:
        """The integers of operand `index`, or of the attribute "axes", which may be negative."""
        return self.ints(index, "axes")

    def refused(self, reason: str) -> ModelError:
        """The error that says which node cannot be run, and why."""
        return ModelError(
            f"node {self.name} ({self.operator}) of the model cannot be run in torch: {reason}"
        )


def element_type(number: int, half: torch.dtype) -> torch.dtype | None:
    """torch's type for a number of ONNX's enumeration; None for one that is not known here."""
    return half if number == _FLOAT16 else _TYPES.get(number)


def tensor_of(proto: onnx.TensorProto, half: torch.dtype) -> Tensor:
    """The value of a tensor of the file, on the CPU. Raises ModelError for a foreign type."""
    from onnx.numpy_helper import to_array

    kind = element_type(proto.data_type, half)
    if kind is None:
        raise ModelError(f"tensor {proto.name} of the model has ONNX type {proto.data_type}")
    return torch.from_numpy(to_array(proto).copy()).to(kind)
