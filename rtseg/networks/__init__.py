"""The networks, by name (needs torch: `pip install "rtseg[train]"`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from rtseg.errors import RecipeError
from rtseg.networks.dilanet import MEDIUM, SMALL, DilaNet


class NetworkEntry(NamedTuple):
    """One row of the registry: name, constructor from the number of classes, input multiple."""

    name: str
    construct: Callable[[int], nn.Module]
    stride: int


NETWORKS: tuple[NetworkEntry, ...] = (
    NetworkEntry("dilanet-s", lambda classes: DilaNet(classes, SMALL), DilaNet.stride),
    NetworkEntry("dilanet-m", lambda classes: DilaNet(classes, MEDIUM), DilaNet.stride),
)


def entry(name: str) -> NetworkEntry:
    """The registry's row of that name. Raises RecipeError for an unknown one."""
    for row in NETWORKS:
        if row.name == name:
            return row
    raise RecipeError(
        f"unknown network {name!r}; expected one of {', '.join(row.name for row in NETWORKS)}"
    )


def build(name: str, classes: int) -> nn.Module:
    """A freshly initialised network: (N, 3, H, W) float → (N, classes, H/s, W/s) logits."""
    return entry(name).construct(classes)
