"""The networks, by name (needs torch: `pip install "rtseg[train]"`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from rtseg.errors import RecipeError
from rtseg.networks.bisenetv2 import BiSeNetV2
from rtseg.networks.dabnet import DABNet
from rtseg.networks.ddrnet import DDRNet23Slim
from rtseg.networks.deeplab import DeepLab
from rtseg.networks.dilanet import MEDIUM, SMALL, DilaNet
from rtseg.networks.dilated8 import Dilated8
from rtseg.networks.enet import ENet
from rtseg.networks.erfnet import ERFNet
from rtseg.networks.fastscnn import FastSCNN
from rtseg.networks.fcdensenet import FC56, FC67, FC103, FCDenseNet
from rtseg.networks.fcn import FCN
from rtseg.networks.layers import Sizes
from rtseg.networks.regseg import RegSeg
from rtseg.networks.resunet import ResUNet
from rtseg.networks.segnet import SegNet
from rtseg.networks.unet import UNet


class NetworkEntry(NamedTuple):
    """One row of the registry.

    construct: network from the number of classes. sizes: the input sizes it takes.
    undeployable: why `rtseg export` refuses it; empty if it does not.
    margin: pixels on each side of the input that it gives no logits for.
    """

    name: str
    construct: Callable[[int], nn.Module]
    sizes: Sizes
    undeployable: str = ""
    margin: int = 0


NETWORKS: tuple[NetworkEntry, ...] = (
    # Ours
    NetworkEntry("dilanet-s", lambda classes: DilaNet(classes, SMALL), DilaNet.sizes),
    NetworkEntry("dilanet-m", lambda classes: DilaNet(classes, MEDIUM), DilaNet.sizes),
    # Light ones
    NetworkEntry("fastscnn", FastSCNN, FastSCNN.sizes),
    NetworkEntry("enet", ENet, ENet.sizes),
    NetworkEntry("erfnet", ERFNet, ERFNet.sizes),
    NetworkEntry("dabnet", DABNet, DABNet.sizes),
    NetworkEntry("regseg", RegSeg, RegSeg.sizes),
    NetworkEntry("ddrnet23slim", DDRNet23Slim, DDRNet23Slim.sizes),
    NetworkEntry("bisenetv2", BiSeNetV2, BiSeNetV2.sizes),
    NetworkEntry("deeplab", DeepLab, DeepLab.sizes),
    # Classic ones
    NetworkEntry("fcn32s", lambda classes: FCN(classes, stride=32), FCN.sizes),
    NetworkEntry("fcn16s", lambda classes: FCN(classes, stride=16), FCN.sizes),
    NetworkEntry("fcn8s", FCN, FCN.sizes),
    NetworkEntry("segnet", SegNet, SegNet.sizes),
    NetworkEntry("dilated8", Dilated8, Dilated8.sizes),
    NetworkEntry("unet", UNet, UNet.sizes),
    NetworkEntry(
        "unet-valid",
        lambda classes: UNet(classes, padding="valid"),
        UNet.valid_sizes,
        undeployable="its logits leave out 92 pixels on each side of the image; take unet",
        margin=UNet.valid_margin,
    ),
    NetworkEntry("resunet", ResUNet, ResUNet.sizes),
    NetworkEntry("fcdensenet56", lambda classes: FCDenseNet(classes, FC56), FCDenseNet.sizes),
    NetworkEntry("fcdensenet67", lambda classes: FCDenseNet(classes, FC67), FCDenseNet.sizes),
    NetworkEntry("fcdensenet103", lambda classes: FCDenseNet(classes, FC103), FCDenseNet.sizes),
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
