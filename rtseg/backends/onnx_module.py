"""A model file's graph as a torch module: a small interpreter, no code of the file is run.

Everything that does not depend on the image's values (sizes, pooling matrices, the weights' casts)
is worked out when the module is built, for one input size. What is left is a list of tensor
operators without branches: `torch.export`, `torch.compile` and the capture of a CUDA graph see
nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from rtseg.backends import onnx_arithmetic, onnx_layers, onnx_layout
from rtseg.backends.onnx_ops import FIRST_ONLY, Node, Run, tensor_of

if TYPE_CHECKING:
    import onnx

    from rtseg.model import Model

OPERATORS = onnx_layers.OPERATORS | onnx_arithmetic.OPERATORS | onnx_layout.OPERATORS
"""Operator → what makes the function to run from a node."""

_OF_SHAPES = frozenset(("Shape", "Size"))


def module_of(model: Model, size: tuple[int, int], dtype: torch.dtype) -> OnnxModule:
    """The module of a model file, in eval mode, on the CPU. Raises ModelError."""
    import onnx

    module = OnnxModule(onnx.load_model_from_string(model.data), size, dtype)
    return module.eval().requires_grad_(False)


class _Step(NamedTuple):
    """One operator. operands: names, "" for an absent one; done: names not needed afterwards."""

    run: Run
    operands: tuple[str, ...]
    results: tuple[str, ...]
    done: tuple[str, ...]


class OnnxModule(nn.Module):
    """(1, 3, h, w) of any float type → (1, C, h / s, w / s) float32 logits.

    graph: of `rtseg export`: one image in, one map of logits out; size: (width, height) of the
    images; dtype: what the file's FP16 tensors become, float16, bfloat16 or float32. What the file
    keeps in FP32 stays so. Raises ModelError for an operator, or a use of one, that torch lacks,
    with the node's name.
    """

    def __init__(
        self, graph: onnx.ModelProto, size: tuple[int, int], dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.dtype = dtype
        weights = {t.name: tensor_of(t, dtype) for t in graph.graph.initializer}
        self._image = next(v.name for v in graph.graph.input if v.name not in weights)
        self._logits = graph.graph.output[0].name
        builder = _Builder(weights, dtype)
        builder.add_image(self._image, size)
        for node in graph.graph.node:
            builder.add(node)
        self._steps = _with_ends(builder.steps, self._logits)
        used = {name for step in self._steps for name in step.operands} & weights.keys()
        self._names = {
            name: f"w{i}_{name.replace('.', '_')}" for i, name in enumerate(sorted(used))
        }
        for name, buffer in self._names.items():
            self.register_buffer(buffer, weights[name])

    def forward(self, image: Tensor) -> Tensor:
        """Logits of one image of the size the module was built for."""
        values: dict[str, Tensor | None] = {k: getattr(self, v) for k, v in self._names.items()}
        values[""] = None
        values[self._image] = image.to(self.dtype)
        for step in self._steps:
            result = step.run(*[values[name] for name in step.operands])
            results = result if isinstance(result, tuple) else (result,)
            values.update(zip(step.results, results, strict=True))
            for name in step.done:
                del values[name]
        logits = values[self._logits]
        assert logits is not None
        return logits.float()


class _Builder:
    """Works out shapes, and what is constant, node by node.

    constants: name → value on the CPU, to which results are added; steps: what is left to run.
    """

    def __init__(self, constants: dict[str, Tensor], half: torch.dtype) -> None:
        self.constants, self.steps = constants, list[_Step]()
        self._half = half
        self._shaped: dict[str, Tensor] = {}  # on the meta device: shape and type alone

    def add_image(self, name: str, size: tuple[int, int]) -> None:
        self._shaped[name] = torch.empty(1, 3, size[1], size[0], dtype=self._half, device="meta")

    def add(self, proto: onnx.NodeProto) -> None:
        """A step for the node, or its result if that is constant. Raises ModelError."""
        names = tuple(proto.input)
        node = self._node(proto, names)
        operator = OPERATORS.get(proto.op_type) if proto.domain in ("", "ai.onnx") else None
        if operator is None:
            raise node.refused("there is no such operator here; run it in another backend")
        run = operator(node)
        kept = names[:1] if proto.op_type in FIRST_ONLY else names
        fixed = all(n in self.constants or not n for n in kept) or proto.op_type in _OF_SHAPES
        results = self._try(node, run, kept, fixed)
        known = self.constants if fixed else self._shaped
        known.update(zip(proto.output, results, strict=False))
        if not fixed:
            self.steps.append(_Step(run, kept, tuple(proto.output), ()))

    def _node(self, proto: onnx.NodeProto, names: tuple[str, ...]) -> Node:
        values = [self.constants.get(n) for n in names]
        known = [self.constants.get(n, self._shaped.get(n)) for n in names]
        shapes = [None if t is None else tuple(t.shape) for t in known]
        node = Node(proto, values, shapes, self._half)
        if any(n and t is None for n, t in zip(names, known, strict=True)):
            raise node.refused("an operand comes from nowhere")
        return node

    def _try(self, node: Node, run: Run, names: tuple[str, ...], fixed: bool) -> tuple[Tensor, ...]:
        """Its results: values if it is fixed, else tensors on the meta device."""
        operands = [self._operand(name, fixed) for name in names]
        try:
            result: Any = run(*operands)
        except (RuntimeError, TypeError, ValueError, IndexError) as exc:
            raise node.refused(f"{type(exc).__name__}: {' '.join(str(exc).split())[:200]}") from exc
        return result if isinstance(result, tuple) else (result,)

    def _operand(self, name: str, fixed: bool) -> Tensor | None:
        if not name:
            return None
        value = self.constants.get(name)
        if value is None:
            return self._shaped[name]
        return value if fixed else value.to("meta")


def _with_ends(steps: list[_Step], result: str) -> list[_Step]:
    """The steps that count for `result`, each with the names that nobody needs after it."""
    needed, ended = {result}, list[_Step]()
    seen = {result}
    for step in reversed(steps):
        if not needed.intersection(step.results):
            continue
        names = {name for name in (*step.operands, *step.results) if name}
        ended.append(step._replace(done=tuple(sorted(names - seen))))
        needed.update(step.operands)
        seen |= names
    return ended[::-1]
