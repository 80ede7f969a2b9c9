"""The networks, by name (needs torch: `pip install "rtseg[train]"`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from rtseg.errors import RecipeError
from rtseg.networks.dilanet import MEDIUM, SMALL, DilaNet
from rtseg.networks.layers import Sizes


class NetworkEntry(NamedTuple):
    """One row of the registry.

    construct: network from the number of classes. sizes: the input sizes it takes.
    undeployable: why `rtseg export` refuses it; empty if it does not.
    """

    name: str
    construct: Callable[[int], nn.Module]
    sizes: Sizes
    undeployable: str = ""


NETWORKS: tuple[NetworkEntry, ...] = (
    NetworkEntry("dilanet-s", lambda classes: DilaNet(classes, SMALL), DilaNet.sizes),
    NetworkEntry("dilanet-m", lambda classes: DilaNet(classes, MEDIUM), DilaNet.sizes),
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
