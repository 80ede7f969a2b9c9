"""ONNX operators on shapes and positions: no arithmetic on values."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from rtseg.backends.onnx_ops import Node, Run, tensor_of


def _shape(node: Node) -> Run:
    shape = list(node.shapes[0] or ())[slice(node.get("start", 0), node.get("end"))]
    return lambda _x: torch.tensor(shape, dtype=torch.int64)


def _size(node: Node) -> Run:
    count = math.prod(node.shapes[0] or ())
    return lambda _x: torch.tensor(count, dtype=torch.int64)


def _constant(node: Node) -> Run:
    proto = node.get("value")
    if proto is not None:
        value = tensor_of(proto, node.half)
    elif node.get("value_ints") is not None or node.get("value_int") is not None:
        value = torch.tensor(node.get("value_ints", node.get("value_int")))
    elif node.get("value_floats") is not None or node.get("value_float") is not None:
        value = torch.tensor(node.get("value_floats", node.get("value_float")))
    else:
        raise node.refused("a constant of another kind than numbers")
    return lambda: value


def _constant_of_shape(node: Node) -> Run:
    proto = node.get("value")
    value = torch.zeros(1) if proto is None else tensor_of(proto, node.half)
    return lambda shape: value.reshape(()).expand(shape.tolist()).clone()


def _range(_node: Node) -> Run:
    return lambda start, limit, step: torch.arange(
        start.item(), limit.item(), step.item(), dtype=start.dtype
    )


def _gather(node: Node) -> Run:
    axis = node.get("axis", 0)

    def run(x: Tensor, indices: Tensor) -> Tensor:
        at = axis % x.dim()
        positions = indices.long() % x.shape[at]
        shape = [*x.shape[:at], *indices.shape, *x.shape[at + 1 :]]
        return x.index_select(at, positions.flatten()).reshape(shape)

    return run


def _slice(node: Node) -> Run:
    starts, ends = node.ints(1, "starts") or [], node.ints(2, "ends") or []
    axes = node.ints(3, "axes") or list(range(len(starts)))
    steps = node.ints(4) or [1] * len(starts)
    if min(steps) < 1:
        raise node.refused(f"steps {steps}; expected positive ones")
    parts = [slice(None)] * len(node.shapes[0] or ())
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        parts[axis] = slice(start, end, step)
    index = tuple(parts)
    return lambda x: x[index]


def _concat(node: Node) -> Run:
    axis = node.get("axis")
    return lambda *tensors: torch.cat(tensors, axis)


def _split(node: Node) -> Run:
    axis, sizes = node.get("axis", 0), node.ints(1, "split")
    if sizes is None:
        length = (node.shapes[0] or ())[axis]
        chunk = -(-length // node.outputs)
        sizes = [min(chunk, length - i * chunk) for i in range(node.outputs)]
    return lambda x: torch.split(x, sizes, axis)


def _reshape(node: Node) -> Run:
    target, shape = node.ints(1) or [], node.shapes[0] or ()
    if not node.get("allowzero", 0):
        target = [v if v else shape[i] for i, v in enumerate(target)]
    return lambda x: x.reshape(target)


def _flatten(node: Node) -> Run:
    shape, axis = node.shapes[0] or (), node.get("axis", 1)
    rows = math.prod(shape[:axis])
    return lambda x: x.reshape(rows, -1)


def _transpose(node: Node) -> Run:
    order = node.get("perm") or list(reversed(range(len(node.shapes[0] or ()))))
    return lambda x: x.permute(order)


def _unsqueeze(node: Node) -> Run:
    axes, shape = node.axes(1) or [], list(node.shapes[0] or ())
    rank = len(shape) + len(axes)
    for axis in sorted(a % rank for a in axes):
        shape.insert(axis, 1)
    return lambda x: x.reshape(shape)


def _squeeze(node: Node) -> Run:
    shape = list(node.shapes[0] or ())
    axes = node.axes(1)
    if axes is None:
        axes = [i for i, length in enumerate(shape) if length == 1]
    gone = {axis % len(shape) for axis in axes}
    kept = [length for i, length in enumerate(shape) if i not in gone]
    return lambda x: x.reshape(kept)


def _expand(node: Node) -> Run:
    target, shape = node.ints(1) or [], node.shapes[0] or ()
    own = [1] * (len(target) - len(shape)) + list(shape)
    wanted = [1] * (len(own) - len(target)) + target
    both = [b if a == 1 else a for a, b in zip(own, wanted, strict=True)]  # either may be 1
    return lambda x: x.expand(both)


def _tile(node: Node) -> Run:
    repeats = node.ints(1) or []
    return lambda x: x.repeat(repeats)


def _pad(node: Node) -> Run:
    rank = len(node.shapes[0] or ())
    pads, axes = node.ints(1, "pads") or [], node.ints(3) or list(range(rank))
    sides = [(0, 0)] * rank
    for i, axis in enumerate(axes):
        sides[axis] = (pads[i], pads[i + len(axes)])
    modes = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}
    mode = modes.get(node.get("mode", "constant"))
    if mode is None or (mode != "constant" and any(side != (0, 0) for side in sides[:2])):
        raise node.refused(f"mode {node.get('mode')}, pads {pads}")
    used = sides if mode == "constant" else sides[2:]
    flat = [side for pair in reversed(used) for side in pair]  # torch begins with the last axis
    fill = node.constant(2)
    value = None if fill is None or mode != "constant" else fill.item()
    return lambda x: F.pad(x, flat, mode, value)


def _depth_to_space(node: Node) -> Run:
    """(N, C·b², H, W) → (N, C, H·b, W·b); the channels' order says what a pixel is made of."""
    block, order = node.get("blocksize"), node.get("mode", "DCR")
    if order == "CRD":
        return lambda x: F.pixel_shuffle(x, block)

    def run(x: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        x = x.reshape(count, block, block, channels // block**2, height, width)
        x = x.permute(0, 3, 4, 1, 5, 2)
        return x.reshape(count, channels // block**2, height * block, width * block)

    return run


def _space_to_depth(node: Node) -> Run:
    block = node.get("blocksize")

    def run(x: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        x = x.reshape(count, channels, height // block, block, width // block, block)
        x = x.permute(0, 3, 5, 1, 2, 4)
        return x.reshape(count, channels * block**2, height // block, width // block)

    return run


OPERATORS: dict[str, Callable[[Node], Run]] = {
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
