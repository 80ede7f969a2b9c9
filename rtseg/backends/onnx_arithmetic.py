"""ONNX operators on elements: activations, arithmetic, comparisons, casts, reductions."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rtseg.backends.onnx_ops import Node, Run, element_type


def _plain(function: Run) -> Callable[[Node], Run]:
    """An operator without attributes."""
    return lambda _node: function


def _folded(function: Run) -> Callable[[Node], Run]:
    """An operator of any number of tensors."""
    return lambda _node: lambda *tensors: reduce(function, tensors)


def _divide(a: Tensor, b: Tensor) -> Tensor:
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _mean(*tensors: Tensor) -> Tensor:
    return reduce(torch.add, tensors) / len(tensors)


def _prelu(x: Tensor, slope: Tensor) -> Tensor:
    """slope: one value, or one a channel as (C, 1, 1); broadcast otherwise."""
    if slope.numel() == 1 or (slope.dim() == x.dim() - 1 and slope.numel() == x.shape[1]):
        return F.prelu(x, slope.flatten())
    return torch.where(x < 0, x * slope, x)


def _modulo(node: Node) -> Run:
    return torch.fmod if node.get("fmod", 0) else torch.remainder


def _leaky_relu(node: Node) -> Run:
    slope = node.get("alpha", 0.01)
    return lambda x: F.leaky_relu(x, slope)


def _elu(node: Node) -> Run:
    alpha = node.get("alpha", 1.0)
    return lambda x: F.elu(x, alpha)


def _hard_sigmoid(node: Node) -> Run:
    slope, offset = node.get("alpha", 0.2), node.get("beta", 0.5)
    return lambda x: torch.clamp(x * slope + offset, 0, 1)


def _gelu(node: Node) -> Run:
    how = node.get("approximate", "none")
    return lambda x: F.gelu(x, approximate=how)


def _clip(node: Node) -> Run:
    low, high = (_scalar(node, i, name) for i, name in ((1, "min"), (2, "max")))
    if low is None and high is None:
        return lambda x: x
    return lambda x: torch.clamp(x, low, high)


def _scalar(node: Node, index: int, attribute: str) -> Any:
    value = node.constant(index)
    return node.get(attribute) if value is None else value.item()


def _softmax(node: Node) -> Run:
    axis = node.get("axis", -1)
    return lambda x: torch.softmax(x, axis)


def _log_softmax(node: Node) -> Run:
    axis = node.get("axis", -1)
    return lambda x: torch.log_softmax(x, axis)


def _cast(node: Node) -> Run:
    kind = element_type(node.get("to"), node.half)
    if kind is None:
        raise node.refused(f"to ONNX type {node.get('to')}")
    return lambda x: x.to(kind)


def _arg_max(node: Node) -> Run:
    axis, keep = node.get("axis", 0), bool(node.get("keepdims", 1))
    if node.get("select_last_index", 0):
        raise node.refused("select_last_index")
    return lambda x: torch.argmax(x, axis, keepdim=keep)


def _reduction(function: Run) -> Callable[[Node], Run]:
    """A reduction over axes; over all of them if none is given."""

    def operator(node: Node) -> Run:
        axes, keep = node.axes(1), bool(node.get("keepdims", 1))
        if not axes and node.get("noop_with_empty_axes", 0):
            return lambda x: x
        return lambda x: function(x, dim=axes or list(range(x.dim())), keepdim=keep)

    return operator


def _product(x: Tensor, *, dim: list[int], keepdim: bool) -> Tensor:
    for axis in sorted((d % x.dim() for d in dim), reverse=True):
        x = x.prod(axis, keepdim=keepdim)
    return x


_UNARY: dict[str, Run] = {
    "Abs": torch.abs, "Ceil": torch.ceil, "Erf": torch.erf, "Exp": torch.exp,
    "Floor": torch.floor, "HardSwish": F.hardswish, "Identity": lambda x: x, "Log": torch.log,
    "Mish": F.mish, "Neg": torch.neg, "Not": torch.logical_not, "Reciprocal": torch.reciprocal,
    "Relu": torch.relu, "Round": torch.round, "Selu": F.selu, "Sigmoid": torch.sigmoid,
    "Sign": torch.sign, "Softplus": F.softplus, "Sqrt": torch.sqrt, "Tanh": torch.tanh,
}  # fmt: skip
_BINARY: dict[str, Run] = {
    "Add": torch.add, "And": torch.logical_and, "Div": _divide, "Equal": torch.eq,
    "Greater": torch.gt, "GreaterOrEqual": torch.ge, "Less": torch.lt, "LessOrEqual": torch.le,
    "Mul": torch.mul, "Or": torch.logical_or, "Pow": torch.pow, "PRelu": _prelu,
    "Sub": torch.sub, "Where": torch.where, "Xor": torch.logical_xor,
}  # fmt: skip

OPERATORS: dict[str, Callable[[Node], Run]] = {
    **{name: _plain(function) for name, function in (_UNARY | _BINARY).items()},
    "ArgMax": _arg_max,
    "Cast": _cast,
    "Clip": _clip,
    "Elu": _elu,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "LeakyRelu": _leaky_relu,
    "LogSoftmax": _log_softmax,
    "Max": _folded(torch.maximum),
    "Mean": _plain(_mean),
    "Min": _folded(torch.minimum),
    "Mod": _modulo,
    "ReduceMax": _reduction(torch.amax),
    "ReduceMean": _reduction(torch.mean),
    "ReduceMin": _reduction(torch.amin),
    "ReduceProd": _reduction(_product),
    "ReduceSum": _reduction(torch.sum),
    "Softmax": _softmax,
    "Sum": _folded(torch.add),
}
