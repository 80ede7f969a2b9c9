"""From trained weights to the deployed file: fold, halve, export, attach the contract."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from rtseg.contract import Contract, classes_of
from rtseg.errors import ModelError
from rtseg.files import write_atomically
from rtseg.model import digest, with_contract
from rtseg.networks import NetworkEntry, entry
from rtseg.networks.counting import count_macs, count_parameters
from rtseg.training.folding import fold_batch_norm
from rtseg.training.provenance import Provenance, read_provenance
from rtseg.training.tensors import MEAN, STD
from rtseg.training.weights import Trained, load_weights

if TYPE_CHECKING:
    import onnx

OPSET = 18
"""Understood by TensorRT 10 and 11, OpenVINO and ONNX Runtime."""


def export(
    weights: Path,
    out: Path,
    *,
    name: str | None = None,
    trained_size: tuple[int, int] = (480, 360),
    training: str = "not stated",
    licence: str = "not stated",
    provenance: Provenance | None = None,
) -> Contract:
    """Write the model file for trained `weights` (safetensors) and return its contract.

    name: of the model; the network's by default. provenance: by default what the weights or their
    run folder say. Raises ModelError if the weights do not fit the network they name, or that
    network cannot be deployed; OutputError. The rest: `model_file`.
    """
    trained = load_weights(weights)
    data, contract = model_file(
        trained, name=name or trained.name, trained_size=trained_size, training=training,
        licence=licence, provenance=provenance or read_provenance(weights),
    )  # fmt: skip
    write_atomically(out, data)
    return contract


def model_file(
    trained: Trained,
    *,
    name: str,
    trained_size: tuple[int, int],
    training: str,
    licence: str,
    provenance: Provenance | None = None,
) -> tuple[bytes, Contract]:
    """The bytes of the model file of a trained network, and the contract in it.

    The network is folded and halved in place. trained_size: (width, height) of the training
    images; the nearest that the network takes goes into the contract. training, licence: sentences
    for the contract; provenance: what the network has seen, None if that is not known. Raises
    ModelError.
    """
    trained_on, pretraining = provenance or Provenance()
    network, architecture, classes = trained
    row = _deployable_entry(architecture)
    size = row.sizes.nearest(*trained_size)
    parameters, macs = count_parameters(network), count_macs(network, *size)
    try:
        contract = Contract(
            name=name,
            network=architecture,
            stride=row.sizes.stride,
            output_stride=_output_stride(network),
            trained_size=size,
            mean=MEAN,
            std=STD,
            label_set=classes.name,
            classes=classes_of(classes),
            parameters=parameters,
            gmacs=round(macs / 1e9, 4),
            training=training,
            trained_on=trained_on,
            pretraining=pretraining,
            licence=licence,
            sha256="0" * 64,  # of the graph and of all above, below
        )
    except ValidationError as exc:
        first = exc.errors()[0]
        raise ModelError(f"{first['loc'][0]} {first['input']!r}: {first['msg']}") from exc
    graph = to_onnx(deployable(network), row.sizes.stride)
    contract = contract.model_copy(update={"sha256": digest(graph, contract)})
    return with_contract(graph, contract), contract


def export_graph(weights: Path) -> onnx.ModelProto:
    """The graph that `export` would write for these weights, without a contract.

    Raises ModelError as `export` does.
    """
    trained = load_weights(weights)
    return to_onnx(deployable(trained.network), _deployable_entry(trained.name).sizes.stride)


def _deployable_entry(name: str) -> NetworkEntry:
    row = entry(name)
    if row.undeployable:
        raise ModelError(f"{name} cannot be deployed: {row.undeployable}")
    return row


class Deployed(nn.Module):
    """FP16 inside, FP32 logits out: (N, 3, H, W) float16 → (N, C, H/s, W/s) float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.half()

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.network(image)
        return logits.float()


def deployable(network: nn.Module) -> nn.Module:
    """The network as it is exported: batch norm folded in FP32, then halved, logits FP32.

    Folding comes first: the folded weights are rounded to half precision once.
    """
    fold_batch_norm(network.eval())
    return Deployed(network).eval()


def to_onnx(network: nn.Module, stride: int) -> onnx.ModelProto:
    """Export with free height and width, multiples of `stride`. Raises ModelError."""
    # That they are multiples is said to the tracer, which can then tell equal sizes: H / 2 of a
    # pooling and (H - 1) / 2 + 1 of a strided convolution.
    free = {axis: stride * torch.export.Dim(f"steps{axis}", min=2, max=4096) for axis in (2, 3)}
    example = torch.zeros(1, 3, 6 * stride, 8 * stride, dtype=torch.half)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():  # of the exporter's own libraries
            warnings.simplefilter("ignore")
            program: Any = torch.onnx.export(
                network,
                (example,),
                input_names=["image"],
                output_names=["logits"],
                opset_version=OPSET,
                dynamic_shapes=(free,),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as exc:
        raise ModelError(f"the network cannot be exported: {_cause(exc)}") from exc
    proto: onnx.ModelProto = program.model_proto
    for node in proto.graph.node:  # stack traces with paths of the exporting machine
        del node.metadata_props[:]
        node.doc_string = ""
    del proto.graph.value_info[:]
    return proto


def _output_stride(network: nn.Module) -> int:
    value = network.output_stride
    assert isinstance(value, int)
    return value


def _cause(exc: BaseException) -> str:
    """What went wrong in the first place: the exporter wraps it in advice."""
    while exc.__cause__ is not None:
        exc = exc.__cause__
    return " ".join(str(exc).split())[:300]
