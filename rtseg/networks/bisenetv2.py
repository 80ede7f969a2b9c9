"""BiSeNet V2: Bilateral Network with Guided Aggregation for Real-time Semantic Segmentation.

Yu et al. 2020, https://arxiv.org/abs/2004.02147. A wide and shallow branch keeps the detail at 1/8,
a narrow and deep one finds the meaning at 1/32; each then steers the other through a sigmoid.

What the paper leaves open is as in two implementations that report its accuracy
(https://github.com/CoinCheung/BiSeNet, https://github.com/open-mmlab/mmsegmentation): the head is
1024 wide; ReLU before the last 1x1 of a gather-and-expansion layer; batch norm and ReLU after the
context embedding, ReLU after the aggregation. Differences: no batch norm between the pooling and
the 1x1 of the context embedding, as the one after the 1x1 undoes its shift and the weights hold
its scale. The logits stay at 1/8 (the published network enlarges them bilinearly at the end, which
is done after the network here). The auxiliary ("booster") heads of the training are left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rtseg.networks.layers import ConvNormAct, GlobalAverage, Sizes, initialise
from rtseg.networks.separable import Separable, depthwise
from rtseg.networks.upsampling import resize_like

DETAIL = ((64, 2), (64, 3), (128, 3))
"""(channels, 3x3 convolutions) of each stage of the detail branch; the first has stride 2."""
SEMANTIC = ((32, 2), (64, 2), (128, 4))
"""(channels, gather-and-expansion layers) of each stage; the first has stride 2."""


class BiSeNetV2(nn.Module):
    """(N, 3, H, W) images → (N, classes, H/8, W/8) logits; H and W are multiples of 8."""

    sizes = Sizes(8)
    output_stride = 8

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.detail = _detail_branch()
        self.semantic = nn.Sequential(Stem(16), *_gathering(16), ContextEmbedding(128))
        self.aggregation = GuidedAggregation(128)
        self.head = nn.Sequential(
            ConvNormAct(128, 1024), nn.Dropout(0.1), nn.Conv2d(1024, classes, 1)
        )
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(x)
        detail = self.detail(x)  # (N, 128, H/8, W/8)
        semantic = self.semantic(x)  # (N, 128, H/32, W/32), rounded up
        logits: Tensor = self.head(self.aggregation(detail, semantic))
        return logits


def _detail_branch() -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for out_channels, count in DETAIL:
        for i in range(count):
            layers.append(ConvNormAct(channels, out_channels, stride=2 if i == 0 else 1))
            channels = out_channels
    return nn.Sequential(*layers)


def _gathering(channels: int) -> list[nn.Module]:
    """The gather-and-expansion layers of all stages of `SEMANTIC`, from `channels` on."""
    layers: list[nn.Module] = []
    for out_channels, count in SEMANTIC:
        layers.append(GatherExpansion(channels, out_channels, stride=2))
        layers.extend(GatherExpansion(out_channels, out_channels) for _ in range(count - 1))
        channels = out_channels
    return layers


class Stem(nn.Module):
    """(N, 3, H, W) → (N, channels, H/4, W/4): convolution beside pooling, then fused."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNormAct(3, channels, stride=2)
        self.conv = nn.Sequential(
            ConvNormAct(channels, channels // 2, 1), ConvNormAct(channels // 2, channels, stride=2)
        )
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.fuse = ConvNormAct(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        y: Tensor = self.fuse(torch.cat((self.conv(x), self.pool(x)), 1))
        return y


class GatherExpansion(nn.Module):
    """3x3 gathers, depthwise 3x3 expands six times, 1x1 reduces; added to the input, ReLU.

    With stride 2 the expansion has two depthwise layers, and the short cut is a separable
    convolution. (N, in_channels, H, W) → (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        inner = 6 * in_channels
        if stride == 1:
            expand = [depthwise(in_channels, expansion=6)]
        else:
            strided = depthwise(in_channels, expansion=6, stride=stride, act="none")
            expand = [strided, depthwise(inner)]
        self.branch = nn.Sequential(
            ConvNormAct(in_channels, in_channels),
            *expand,
            ConvNormAct(inner, out_channels, 1, act="none"),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1:
            self.shortcut = Separable(
                in_channels, out_channels, stride=stride, middle="none", act="none"
            )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.shortcut(x) + self.branch(x))


class ContextEmbedding(nn.Module):
    """Adds the image's mean features, through a 1x1, to every pixel; 3x3. Shape is kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.context = nn.Sequential(GlobalAverage(), ConvNormAct(channels, channels, 1))
        self.conv = ConvNormAct(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x + self.context(x))  # (N, C, H, W) + (N, C, 1, 1)
        return y


class GuidedAggregation(nn.Module):
    """Each branch, at the other's resolution too, times the sigmoid of the other; summed; 3x3.

    (N, C, H, W) of detail and (N, C, H/4, W/4) of meaning → (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.detail = _plain(channels)
        self.detail_down = nn.Sequential(
            ConvNormAct(channels, channels, stride=2, act="none"),
            nn.AvgPool2d(3, stride=2, padding=1),
        )
        self.semantic = _plain(channels)
        self.semantic_up = ConvNormAct(channels, channels, act="none")
        self.conv = ConvNormAct(channels, channels)

    def forward(self, detail: Tensor, semantic: Tensor) -> Tensor:
        up = resize_like(self.semantic_up(semantic), detail)  # (N, C, H, W)
        fine = self.detail(detail) * torch.sigmoid(up)
        coarse = self.detail_down(detail) * torch.sigmoid(self.semantic(semantic))
        y: Tensor = self.conv(fine + resize_like(coarse, fine))
        return y


def _plain(channels: int) -> nn.Sequential:
    """Depthwise 3x3 → batch norm → 1x1."""
    pointwise = nn.Conv2d(channels, channels, 1, bias=False)
    return nn.Sequential(depthwise(channels, act="none"), pointwise)
