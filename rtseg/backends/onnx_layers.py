"""ONNX operators of layers: convolutions, pooling, resizing, normalisation, products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rtseg.backends.onnx_ops import Node, Run


def _padding(node: Node, fill: float = 0.0) -> tuple[Callable[[Tensor], Tensor] | None, list[int]]:
    """How a layer pads: a function to apply before it, or None, and its own symmetric padding."""
    if node.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise node.refused(f"auto_pad {node.get('auto_pad')}; expected NOTSET")
    pads = node.get("pads")
    if not pads or node.get("auto_pad") == "VALID":
        return None, [0, 0]
    if len(pads) != 4:
        raise node.refused(f"pads {pads}; expected four, of images")
    top, left, bottom, right = pads
    if (top, left) == (bottom, right):
        return None, [top, left]
    return lambda x: F.pad(x, (left, right, top, bottom), value=fill), [0, 0]


def _pair(node: Node, name: str) -> list[int]:
    value = node.get(name, [1, 1])
    return [int(v) for v in value]


def _spread(node: Node) -> tuple[list[int], list[int], int]:
    """Stride, dilation and groups of a convolution."""
    return _pair(node, "strides"), _pair(node, "dilations"), int(node.get("group", 1))


def _conv(node: Node) -> Run:
    before, padding = _padding(node)
    stride, dilation, groups = _spread(node)

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        x = before(x) if before else x
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)

    return run


def _conv_transpose(node: Node) -> Run:
    before, padding = _padding(node)
    if before or node.get("output_shape"):
        raise node.refused("pads of different sides, or output_shape; expected equal pads")
    stride, dilation, groups = _spread(node)
    extra = [int(v) for v in node.get("output_padding", [0, 0])]

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv_transpose2d(x, weight, bias, stride, padding, extra, groups, dilation)

    return run


def _max_pool(node: Node) -> Run:
    if node.outputs > 1:
        raise node.refused("it gives indices; expected values only")
    before, padding = _padding(node, fill=float("-inf"))
    kernel, ceil = _pair(node, "kernel_shape"), bool(node.get("ceil_mode", 0))
    stride, dilation = _pair(node, "strides"), _pair(node, "dilations")

    def run(x: Tensor) -> Tensor:
        x = before(x) if before else x
        return F.max_pool2d(x, kernel, stride, padding, dilation, ceil)

    return run


def _average_pool(node: Node) -> Run:
    counted = bool(node.get("count_include_pad", 0))
    before, padding = _padding(node)
    if (before and not counted) or any(d != 1 for d in _pair(node, "dilations")):
        raise node.refused("dilations, or uncounted pads of different sides")
    kernel, stride = _pair(node, "kernel_shape"), _pair(node, "strides")
    ceil = bool(node.get("ceil_mode", 0))

    def run(x: Tensor) -> Tensor:
        x = before(x) if before else x
        return F.avg_pool2d(x, kernel, stride, padding, ceil, counted)

    return run


def _resize(node: Node) -> Run:
    shape = node.shapes[0]
    if shape is None or len(shape) != 4 or node.get("axes") or node.get("antialias", 0):
        raise node.refused("antialias, axes, or other than images; expected (N, C, H, W)")
    sizes, scales = node.ints(3), node.constant(2)
    if sizes:
        target: dict[str, Any] = {"size": tuple(sizes[2:])}
        factors = [new / old for new, old in zip(sizes, shape, strict=True)]
    elif scales is not None:
        factors = [float(v) for v in scales.tolist()]
        target = {"scale_factor": tuple(factors[2:])}
    else:
        raise node.refused("neither scales nor sizes")
    if factors[:2] != [1, 1]:
        raise node.refused(f"scales {factors}; expected 1, 1 and those of height and width")
    how = _interpolation(node, factors[2:])
    return lambda x, *_: F.interpolate(x, **target, **how)


def _interpolation(node: Node, factors: list[float]) -> dict[str, Any]:
    """torch's name for a way of resizing. Raises ModelError for one that it does not have."""
    mode = node.get("mode", "nearest")
    where = node.get("coordinate_transformation_mode", "half_pixel")
    rounding = node.get("nearest_mode", "round_prefer_floor")
    whole = all(factor >= 1 and factor == int(factor) for factor in factors)
    if mode == "linear" and where in ("half_pixel", "align_corners"):
        return {"mode": "bilinear", "align_corners": where == "align_corners"}
    if mode == "nearest" and (where, rounding) == ("asymmetric", "floor"):
        return {"mode": "nearest"}
    if mode == "nearest" and where == "half_pixel" and rounding.startswith("round") and whole:
        return {"mode": "nearest-exact"}
    raise node.refused(f"{mode} with {where}, {rounding} and factors {factors}")


def _batch_norm(node: Node) -> Run:
    epsilon = node.get("epsilon", 1e-5)
    if node.get("training_mode", 0):
        raise node.refused("it is in training mode")
    return lambda x, scale, bias, mean, var: F.batch_norm(
        x, mean, var, scale, bias, training=False, eps=epsilon
    )


def _instance_norm(node: Node) -> Run:
    epsilon = node.get("epsilon", 1e-5)
    return lambda x, scale, bias: F.instance_norm(x, weight=scale, bias=bias, eps=epsilon)


def _layer_norm(node: Node) -> Run:
    epsilon, axis = node.get("epsilon", 1e-5), node.get("axis", -1)
    if node.outputs > 1:
        raise node.refused("it gives mean and deviation; expected values only")
    return lambda x, scale, bias=None: F.layer_norm(x, x.shape[axis:], scale, bias, epsilon)


def _gemm(node: Node) -> Run:
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    left, right = node.get("transA", 0), node.get("transB", 0)

    def run(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
        product: Tensor = alpha * torch.matmul(a.T if left else a, b.T if right else b)
        return product if c is None else product + beta * c

    return run


def _global_average(_node: Node) -> Run:
    return lambda x: x.mean(dim=(2, 3), keepdim=True)


def _global_max(_node: Node) -> Run:
    return lambda x: x.amax(dim=(2, 3), keepdim=True)


OPERATORS: dict[str, Callable[[Node], Run]] = {
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average,
    "GlobalMaxPool": _global_max,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "MatMul": lambda _node: torch.matmul,
    "MaxPool": _max_pool,
    "Resize": _resize,
}
