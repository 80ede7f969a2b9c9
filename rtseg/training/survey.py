"""The registry's networks side by side: what each costs, sees, and takes on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from rtseg.backends import Precision, build_engine
from rtseg.classes import CAMVID
from rtseg.contract import Contract
from rtseg.interleave import interleaved, summary
from rtseg.model import Model
from rtseg.networks import NetworkEntry, build, entry
from rtseg.networks.counting import count_macs, count_parameters, receptive_field
from rtseg.training.export import model_file
from rtseg.training.weights import Trained

if TYPE_CHECKING:
    from rtseg.backends.base import HostEngine

REFERENCE = "dilanet-m"
"""What the ratios refer to."""

PAUSE = 0.05
"""Seconds of rest before each timed call: the threads of the engine before it spin that long."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A row of the table. size: (width, height) that the GMACs are for, the nearest the network
    takes; receptive_field: pixels across, None for the whole image."""

    name: str
    size: tuple[int, int]
    parameters: int
    gmacs: float
    output_stride: int
    receptive_field: int | None
    undeployable: str


def facts(row: NetworkEntry, size: tuple[int, int], classes: int) -> Facts:
    """Count a network for inputs of about `size` (width, height) and `classes` classes."""
    near = row.sizes.nearest(*size)
    with torch.device("meta"):  # shapes alone: no memory, no arithmetic
        shapes = build(row.name, classes)
        macs = count_macs(shapes, *near)
    stride = shapes.output_stride
    assert isinstance(stride, int)
    return Facts(
        row.name, near, count_parameters(shapes), macs / 1e9, stride,
        receptive_field(shapes, row.sizes), row.undeployable,
    )  # fmt: skip


class Bench:
    """Latency of networks, each in turns with the reference network.

    Two engines are in memory at a time, so the largest network decides what is needed.
    """

    def __init__(self, size: tuple[int, int], precision: Precision, rounds: int) -> None:
        self.size, self.precision, self.rounds = size, precision, rounds
        self._reference = self._call(REFERENCE)

    def latency(self, name: str) -> dict[str, float]:
        """Milliseconds of one inference of a deployable network with random weights (median_ms,
        min_ms, p90_ms), and `ratio`, its median to the reference's in the same rounds."""
        calls = {"reference": self._reference, name: self._call(name)}
        return summary(interleaved(calls, self.rounds, warmup=1, pause=PAUSE))[name]

    def _call(self, name: str) -> Callable[[], object]:
        model = random_model(name)
        size = entry(name).sizes.nearest(*self.size)
        engine = build_engine(model, size, backend="openvino", precision=self.precision)
        context = cast("HostEngine", engine).context()
        context.input[:] = 0.5
        return context.run


def random_model(name: str) -> Model:
    """The deployed form of a network that was not trained; it is good for its speed alone."""
    torch.manual_seed(0)
    network = calibrated(build(name, len(CAMVID)))
    data, contract = model_file(
        Trained(network, name, CAMVID), name=name, trained_size=(480, 360),
        training="not trained", licence="not stated",
    )  # fmt: skip
    return _in_memory(data, contract)


def calibrated(network: nn.Module) -> nn.Module:
    """The network in eval mode with the batch norm statistics of one batch of noise, so that its
    activations are as large as a trained network's: neither denormal (slow) nor infinite."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the plain mean of all batches seen
    with torch.no_grad():
        network.train()(torch.randn(2, 3, 128, 192))
    return network.eval()


def _in_memory(data: bytes, contract: Contract) -> Model:
    return Model(Path(f"{contract.name} (random weights)"), contract, contract.labels(), data)
