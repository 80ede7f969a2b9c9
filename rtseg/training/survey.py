"""The registry's networks side by side: what each costs, sees, and takes on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from rtseg.backends import Precision, build_engine
from rtseg.classes import CAMVID
from rtseg.contract import Contract
from rtseg.interleave import interleaved, summary
from rtseg.model import Model
from rtseg.networks import NetworkEntry, build
from rtseg.networks.counting import count_macs, count_parameters, receptive_field
from rtseg.training.export import model_file

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


def prepared(
    rows: Iterable[NetworkEntry], size: tuple[int, int], precision: Precision
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each deployable network, with random weights, exported and compiled for inputs of about
    `size`: its name, and a call that runs it once."""
    for row in rows:
        if not row.undeployable:
            model = random_model(row.name)
            engine = build_engine(model, row.sizes.nearest(*size), precision=precision)
            context = engine.context()
            context.input[:] = 0.5
            yield row.name, context.run


def latencies(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each call, in turns; see `rtseg.interleave.summary`."""
    return summary(interleaved(calls, rounds, warmup=1, pause=PAUSE))


def random_model(name: str) -> Model:
    """The deployed form of a network that was not trained; it is good for its speed alone."""
    torch.manual_seed(0)
    network = calibrated(build(name, len(CAMVID)))
    data, contract = model_file(
        network, name, name=name, trained_size=(480, 360), training="not trained",
        licence="not stated",
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
