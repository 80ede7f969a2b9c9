"""From trained weights to the deployed file: fold, halve, export, attach the contract."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rtseg.classes import CAMVID
from rtseg.contract import Contract, classes_of
from rtseg.errors import ModelError
from rtseg.files import write_atomically
from rtseg.model import digest, with_contract
from rtseg.networks import entry
from rtseg.networks.counting import count_macs, count_parameters
from rtseg.training.checkpoint import load_network
from rtseg.training.tensors import MEAN, STD

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
) -> Contract:
    """Write the model file for trained `weights` (safetensors) and return its contract.

    trained_size: (width, height) of the training images; the nearest that the network takes goes
    into the contract. training, licence: sentences for the
    contract. Raises ModelError if the weights do not fit the network they name, OutputError.
    """
    network, architecture = load_network(weights)
    row = entry(architecture)
    if row.undeployable:
        raise ModelError(f"{architecture} cannot be deployed: {row.undeployable}")
    trained_size = row.sizes.nearest(*trained_size)
    parameters = count_parameters(network)
    gmacs = count_macs(network, *trained_size) / 1e9
    stride = row.sizes.stride
    try:
        contract = Contract(
            name=name or architecture,
            network=architecture,
            stride=stride,
            output_stride=_output_stride(network),
            trained_size=trained_size,
            mean=MEAN,
            std=STD,
            label_set=CAMVID.name,
            classes=classes_of(CAMVID),
            parameters=parameters,
            gmacs=round(gmacs, 4),
            training=training,
            licence=licence,
            sha256="0" * 64,  # of the graph and of all above, below
        )
    except ValidationError as exc:
        first = exc.errors()[0]
        raise ModelError(f"{first['loc'][0]} {first['input']!r}: {first['msg']}") from exc
    graph = to_onnx(deployable(network), (stride * 8, stride * 8))
    contract = contract.model_copy(update={"sha256": digest(graph, contract)})
    write_atomically(out, with_contract(graph, contract))
    return contract


def fold_batch_norm(network: nn.Module) -> None:
    """Fold every batch norm that follows a convolution in an `nn.Sequential` into it, in place."""
    for child in network.children():
        fold_batch_norm(child)
    if not isinstance(network, nn.Sequential):
        return
    for i in range(len(network) - 1):
        conv, norm = network[i], network[i + 1]
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            network[i], network[i + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()


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


def to_onnx(network: nn.Module, example: tuple[int, int]) -> onnx.ModelProto:
    """Export with free height and width; `example` (width, height) only traces the graph."""
    image = torch.zeros(1, 3, example[1], example[0], dtype=torch.half)
    free = torch.export.Dim.DYNAMIC
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():  # of the exporter's own libraries
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            network,
            (image,),
            input_names=["image"],
            output_names=["logits"],
            opset_version=OPSET,
            dynamic_shapes=({2: free, 3: free},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
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
