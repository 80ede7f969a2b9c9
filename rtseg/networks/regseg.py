"""RegSeg: Rethinking Dilated Convolution for Real-time Semantic Segmentation.

Gao 2021, https://arxiv.org/abs/2111.09957. The backbone of a RegNetY that stops at 1/16, with a
field of view made by dilation alone: in its D blocks one half of the channels is convolved
without, the other with a large dilation, so that the detail is not lost. A decoder of a few thin
convolutions brings in 1/8 by a sum and 1/4 by concatenation.

The network is the one that the paper calls RegSeg, of dilations (1), (1, 2), 4 x (1, 4),
7 x (1, 14). Difference: the logits stay at 1/4 (the paper enlarges them bilinearly at the end,
which is done after the network here).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rtseg.networks.layers import ConvNormAct, GlobalAverage, Sizes, initialise
from rtseg.networks.upsampling import resize_like

GROUP_WIDTH = 16
"""Channels that a 3x3 convolution of the backbone mixes."""
DILATIONS = ((1,), (1, 2), *4 * ((1, 4),), *7 * ((1, 14),))
"""Of the blocks at 1/16 after the first, which is not dilated."""


class RegSeg(nn.Module):
    """(N, 3, H, W) images → (N, classes, H/4, W/4) logits; H and W are multiples of 4."""

    sizes = Sizes(4)
    output_stride = 4

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stage4 = nn.Sequential(ConvNormAct(3, 32, stride=2), DBlock(32, 48, stride=2))
        self.stage8 = nn.Sequential(
            DBlock(48, 128, stride=2), *(DBlock(128, 128) for _ in range(2))
        )
        self.stage16 = nn.Sequential(
            DBlock(128, 256, stride=2),
            *(DBlock(256, 256, rates) for rates in DILATIONS[:-1]),
            DBlock(256, 320, DILATIONS[-1]),
        )
        self.decoder = Decoder(classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(x)
        quarter = self.stage4(x)  # (N, 48, H/4, W/4)
        eighth = self.stage8(quarter)  # (N, 128, H/8, W/8), rounded up
        sixteenth = self.stage16(eighth)  # (N, 320, H/16, W/16), rounded up
        logits: Tensor = self.decoder(quarter, eighth, sixteenth)
        return logits


class DBlock(nn.Module):
    """1x1 → grouped 3x3, its channels split over the dilations → SE → 1x1, added to the input.

    (N, in_channels, H, W) → (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dilations: tuple[int, ...] = (1,),
        *,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            ConvNormAct(in_channels, out_channels, 1),
            SplitConv(out_channels, dilations, stride=stride),
            SqueezeExcite(out_channels, in_channels // 4),
            ConvNormAct(out_channels, out_channels, 1, act="none"),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = _projection(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.shortcut(x) + self.branch(x))


def _projection(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Short cut of another shape: the mean of each cell, an odd rim for itself, then 1x1."""
    conv = ConvNormAct(in_channels, out_channels, 1, act="none")
    if stride == 1:
        return conv
    pool = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(pool, conv)


class SplitConv(nn.Module):
    """One grouped 3x3 convolution for each dilation, each on its share of the channels.

    (N, channels, H, W) → (N, channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, channels: int, dilations: tuple[int, ...], *, stride: int = 1) -> None:
        super().__init__()
        share = channels // len(dilations)
        self.convs = nn.ModuleList(
            ConvNormAct(share, share, stride=stride, dilation=rate, groups=share // GROUP_WIDTH)
            for rate in dilations
        )

    def forward(self, x: Tensor) -> Tensor:
        shares = x.chunk(len(self.convs), 1)
        return torch.cat([conv(part) for conv, part in zip(self.convs, shares, strict=True)], 1)


class SqueezeExcite(nn.Module):
    """Each channel times a factor in 0–1 that a small network finds from the channels' means.

    Hu et al. 2018, https://arxiv.org/abs/1709.01507. Shape is kept.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.factors = nn.Sequential(
            GlobalAverage(),
            nn.Conv2d(channels, width, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x * self.factors(x)
        return y


class Decoder(nn.Module):
    """Features at 1/4, 1/8 and 1/16 → (N, classes, H/4, W/4) logits."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head4 = ConvNormAct(48, 8, 1)
        self.head8 = ConvNormAct(128, 128, 1)
        self.head16 = ConvNormAct(320, 128, 1)
        self.conv8 = ConvNormAct(128, 64)
        self.conv4 = ConvNormAct(64 + 8, 64)
        self.score = nn.Conv2d(64, classes, 1)

    def forward(self, quarter: Tensor, eighth: Tensor, sixteenth: Tensor) -> Tensor:
        y = self.head8(eighth)
        y = self.conv8(y + resize_like(self.head16(sixteenth), y))  # (N, 64, H/8, W/8)
        y = torch.cat((resize_like(y, quarter), self.head4(quarter)), 1)  # (N, 72, H/4, W/4)
        logits: Tensor = self.score(self.conv4(y))
        return logits
