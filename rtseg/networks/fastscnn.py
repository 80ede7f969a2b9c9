"""Fast-SCNN: Fast Semantic Segmentation Network.

Poudel, Liwicki & Cipolla 2019, https://arxiv.org/abs/1902.04502. One shallow start for both of the
two branches that earlier networks computed apart: three strided layers ("learning to downsample")
lead to 1/8, from there inverted residuals and pyramid pooling find the context at 1/32, and one sum
brings it back to the features at 1/8.

Differences: the logits stay at 1/8 (the paper enlarges them bilinearly at the end, which is done
after the network here). The auxiliary heads of the training are left out. The rate of the dropout,
which the paper does not state, is 0.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rtseg.networks.layers import AdaptiveAverage, ConvNormAct, Sizes, initialise
from rtseg.networks.separable import InvertedResidual, Separable
from rtseg.networks.upsampling import resize_like

STAGES = ((64, 3, 2), (96, 3, 2), (128, 3, 1))
"""(channels, inverted residuals, stride of the first) of the global feature extractor."""
BINS = (1, 2, 3, 6)
"""Parts per side of each level of the pyramid pooling."""


class FastSCNN(nn.Module):
    """(N, 3, H, W) images → (N, classes, H/8, W/8) logits; H and W are multiples of 8."""

    sizes = Sizes(8)
    output_stride = 8

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.down = nn.Sequential(
            ConvNormAct(3, 32, stride=2),
            Separable(32, 48, stride=2, middle="none"),
            Separable(48, 64, stride=2, middle="none"),
        )
        self.context = nn.Sequential(*_stages(64), PyramidPooling(128, 128))
        self.fusion = Fusion(fine=64, coarse=128, out_channels=128)
        self.classifier = nn.Sequential(
            Separable(128, 128, middle="none"),
            Separable(128, 128, middle="none"),
            nn.Dropout(0.1),
            nn.Conv2d(128, classes, 1),
        )
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(x)
        fine = self.down(x)  # (N, 64, H/8, W/8)
        coarse = self.context(fine)  # (N, 128, H/32, W/32), rounded up
        logits: Tensor = self.classifier(self.fusion(fine, coarse))
        return logits


def _stages(channels: int) -> list[nn.Module]:
    """The inverted residuals of all `STAGES`, from `channels` on."""
    blocks: list[nn.Module] = []
    for out_channels, count, stride in STAGES:
        for i in range(count):
            blocks.append(InvertedResidual(channels, out_channels, stride=stride if i == 0 else 1))
            channels = out_channels
    return blocks


class PyramidPooling(nn.Module):
    """The means over ever smaller parts of the image, joined to each pixel's features; 1x1.

    Zhao et al. 2016, https://arxiv.org/abs/1612.01105.
    (N, in_channels, H, W) → (N, out_channels, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        share = in_channels // len(BINS)
        self.levels = nn.ModuleList(
            nn.Sequential(AdaptiveAverage(bins), ConvNormAct(in_channels, share, 1))
            for bins in BINS
        )
        self.project = ConvNormAct(in_channels + share * len(BINS), out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        levels = [resize_like(level(x), x) for level in self.levels]  # each (N, share, H, W)
        y: Tensor = self.project(torch.cat((x, *levels), 1))
        return y


class Fusion(nn.Module):
    """Coarse features, enlarged and smoothed by a dilated depthwise 3x3, plus the fine ones; ReLU.

    (N, fine, H, W) and (N, coarse, H/4, W/4) → (N, out_channels, H, W). The dilation is the
    enlargement: neighbouring weights meet neighbouring coarse pixels.
    """

    def __init__(self, *, fine: int, coarse: int, out_channels: int) -> None:
        super().__init__()
        self.fine = ConvNormAct(fine, out_channels, 1, act="none")
        self.coarse = Separable(coarse, out_channels, dilation=4, act="none")

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        return F.relu(self.fine(fine) + self.coarse(resize_like(coarse, fine)))
