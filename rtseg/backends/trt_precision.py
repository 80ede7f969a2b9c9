"""Proof that an engine computes its convolutions in FP16, from TensorRT's engine inspector.

An engine that was asked for in FP16 need not be one: TensorRT 11 has no switch for it any more and
builds an FP32 graph in FP32 without a word. The inspector's JSON lists the layers that really run:

    {"Layers": [{"Name": "conv1 + relu1", "LayerType": "CaskConvolution",
                 "ParameterType": "Convolution",
                 "Inputs": [{"Name": "image", "Dimensions": [1,3,360,480], "Format/Datatype":
                             "Channel major FP16 format where channel % 8 == 0"}],
                 "Outputs": […], "Weights": {"Type": "Half", "Count": 1250},
                 "Metadata": "[ONNX Layer: node_conv2d]…"}, …]}

TensorRT 11 splits "Format/Datatype" in two. Layers of its graph compiler are of type "kgen", "gemm"
and the like, with plain types ("Half", "Float"), and name their ONNX nodes in "Metadata" only.
https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/engine-tools.html
https://docs.nvidia.com/deeplearning/tensorrt/11.3.0/api/migration/tensorrt-10x-to-11x-IEngineInspector.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from rtseg.backends.plan_use import UnfitError

if TYPE_CHECKING:
    from rtseg.model import Model

_TYPES = (
    ("bf16", r"bfloat16|bf16"),
    ("f16", r"half|fp16|float16"),
    ("f32", r"float|fp32|float32|tf32"),
    ("f8", r"fp8"),
    ("f4", r"fp4"),
    ("int8", r"int8"),
    ("int4", r"int4"),
)
_TYPE = re.compile("|".join(rf"(?P<{name}>\b(?:{words})\b)" for name, words in _TYPES), re.I)
"""Types that a convolution can compute in, as the inspector writes them. Others say nothing: those
of indices, "N/A due to dynamic shapes"."""

_LONG = {"f32": "FP32", "f16+f32": "FP16 and FP32", "unknown": "an unknown precision"}

_LISTED = 5
"""Nodes that are named in an error at the most."""

_CONVOLUTION = re.compile(r"conv(?!er)", re.I)
"""CaskConvolution, CaskGemmConvolution, CaskConvActPool, CaskDeconvolutionV2, conv, …"""

_MOVES = re.compile(r"reformat|constant|shuffle|noop|copy|move", re.I)
"""Layers that move data and compute nothing, whatever node they belong to."""

_NODE = re.compile(r"\[ONNX Layer: ([^\]]*)\]")


class NamesOnlyError(UnfitError):
    """The engine was built so that the inspector tells no types: nothing is proved or disproved."""


class Proof(NamedTuple):
    """What the inspector showed; keys of a plan's record.

    f16_convolutions: layers that convolve, all in FP16. covered, total: convolutions of the graph
    that these layers name, and all that it has. covered is 0 where no layer names any.
    """

    f16_convolutions: int
    covered: int
    total: int


def convolution_nodes(model: Model) -> frozenset[str]:
    """Names of the convolutions in a model's ONNX graph."""
    import onnx

    graph = onnx.load_model_from_string(model.data).graph
    kinds = ("Conv", "ConvTranspose")
    return frozenset(node.name for node in graph.node if node.op_type in kinds and node.name)


def prove_half(information: str, nodes: Collection[str]) -> Proof:
    """That an engine convolves in FP16 alone.

    information: the inspector's JSON of the whole engine, built with detailed verbosity; nodes:
    names of the ONNX graph's convolutions. A layer convolves if its type says so, or if it belongs
    to such a node and does not only move data. It counts as FP16 if all its inputs and its weights
    are: the result may be FP32, where the cast of the logits is part of the layer. Where layers
    name their nodes, each of the graph's convolutions must be in one of these layers.

    Raises UnfitError if one is not FP16 or missing, and if none is there; NamesOnlyError if the
    inspector does not tell.
    """
    layers = _layers(information)
    convolving = [layer for layer in layers if _convolves(layer, nodes)]
    if not convolving:
        raise UnfitError(
            f"TensorRT's inspector shows no convolution in the engine's {len(layers)} layers; its "
            "precision cannot be proved, so it is not used"
        )
    _all_half(convolving)
    named = any(map(_nodes, layers))
    covered = {node for layer in convolving for node in _nodes(layer)}.intersection(nodes)
    missing = sorted(set(nodes) - covered)
    if named and missing:
        raise UnfitError(
            f"the inspector shows {len(covered)} of {len(nodes)} convolutions (missing: "
            f"{', '.join(missing[:_LISTED])}{', …' if missing[_LISTED:] else ''}); the precision "
            "of the engine cannot be proved, so it is not used"
        )
    return Proof(len(convolving), len(covered), len(nodes))


def _all_half(convolving: Collection[Mapping[str, Any]]) -> None:
    """Raise UnfitError unless all these layers are FP16."""
    found = [(_name(layer), _precision(layer)) for layer in convolving]
    wrong = [(name, kind) for name, kind in found if kind != "f16"]
    if wrong:
        kinds = " or ".join(sorted({_LONG.get(kind, kind) for _, kind in wrong}))
        raise UnfitError(
            f"the engine computes {len(wrong)} of {len(found)} convolutions in {kinds} (first: "
            f"{wrong[0][0]}); expected FP16 in all, as in the graphs that `rtseg export` writes"
        )


def _layers(information: str) -> list[Mapping[str, Any]]:
    """The layers of the inspector's JSON. Raises UnfitError if it has none in detail."""
    try:
        layers = json.loads(information, strict=False)["Layers"]  # node names are split by \x1e
    except (ValueError, KeyError, TypeError) as exc:
        raise UnfitError(
            f"TensorRT's inspector gave no list of layers ({information[:60]!r}); the precision of "
            "the engine cannot be proved, so it is not used"
        ) from exc
    detailed: list[Mapping[str, Any]] = [layer for layer in layers if isinstance(layer, dict)]
    if len(detailed) < len(layers):
        raise NamesOnlyError(
            "TensorRT's inspector gave names only: built without detailed verbosity"
        )
    return detailed


def _convolves(layer: Mapping[str, Any], nodes: Collection[str]) -> bool:
    kind = f"{layer.get('LayerType', '')} {layer.get('ParameterType', '')}"
    if _MOVES.search(kind) or not (layer.get("Inputs") or layer.get("Weights")):
        return False  # without either there is nothing that it could compute
    return bool(_CONVOLUTION.search(kind)) or any(node in nodes for node in _nodes(layer))


def _nodes(layer: Mapping[str, Any]) -> list[str]:
    """The ONNX nodes that a layer is made of, as far as it tells."""
    return _NODE.findall(str(layer.get("Metadata", "")))


def _precision(layer: Mapping[str, Any]) -> str:
    """What a layer reads: "f16", another type, several as "f16+f32", or "unknown"."""
    texts = [_type_text(tensor) for tensor in layer.get("Inputs", ())]
    weights = layer.get("Weights")
    if isinstance(weights, dict):
        texts.append(str(weights.get("Type", "")))
    kinds = {match.lastgroup for match in map(_TYPE.search, texts) if match and match.lastgroup}
    return "+".join(sorted(kinds)) or "unknown"


def _type_text(tensor: Any) -> str:
    """What the inspector says about a tensor's type: the keys differ between versions."""
    if not isinstance(tensor, dict):
        return ""
    lower = {key.lower(): str(value) for key, value in tensor.items()}
    texts = (lower.get(key, "") for key in ("datatype", "format/datatype", "format"))
    return next((text for text in texts if _TYPE.search(text)), "")


def _name(layer: Mapping[str, Any]) -> str:
    return str(layer.get("Name", "a layer without a name"))
