"""DDRNet-23-slim: Deep Dual-resolution Networks for Semantic Segmentation of Road Scenes.

Hong, Pan, Sun & Jia 2021, https://arxiv.org/abs/2101.06085. Two residual branches from 1/8 on: one
stays there, the other goes down to 1/64; twice each receives the other's features ("bilateral
fusion"). At 1/64 a pyramid pooling whose levels feed one another (DAPPM) widens the context.

Differences: the logits stay at 1/8 (the published network enlarges them bilinearly at the end,
which is done after the network here). The auxiliary head of the training, which the published
parameter count leaves out, is left out. The two convolutions of the stem have no bias, as batch
norm follows.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rtseg.networks.layers import (
    BasicBlock,
    ConvNormAct,
    GlobalAverage,
    NormAct,
    Sizes,
    initialise,
)
from rtseg.networks.upsampling import resize_like

PLANES = 32
"""Channels at 1/4; the other widths are multiples of it."""
POOLS = ((5, 2), (9, 4), (17, 8))
"""(kernel, stride) of the pooled levels of the DAPPM; the last level is the global mean."""


class DDRNet23Slim(nn.Module):
    """(N, 3, H, W) images → (N, classes, H/8, W/8) logits; H and W are multiples of 8."""

    sizes = Sizes(8)
    output_stride = 8

    def __init__(self, classes: int) -> None:
        super().__init__()
        fine = 2 * PLANES
        self.stem = nn.Sequential(
            ConvNormAct(3, PLANES, stride=2),
            ConvNormAct(PLANES, PLANES, stride=2),
            *_pair(PLANES, PLANES),
            nn.ReLU(),
            *_pair(PLANES, fine, stride=2),
            nn.ReLU(),
        )
        self.stage3 = DualStage(fine, fine, (4 * PLANES,))
        self.stage4 = DualStage(4 * PLANES, fine, (4 * PLANES, 8 * PLANES))
        self.coarse5 = Bottleneck(8 * PLANES, 8 * PLANES, stride=2)
        self.fine5 = Bottleneck(fine, fine)
        self.context = DAPPM(16 * PLANES, 128, 4 * PLANES)
        self.head = nn.Sequential(
            NormAct(4 * PLANES),
            ConvNormAct(4 * PLANES, 64),
            nn.Conv2d(64, classes, 1),
        )
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(x)
        x = self.stem(x)  # (N, 64, H/8, W/8)
        coarse, fine = self.stage3(x, x)  # (N, 128, H/16, W/16), rounded up; (N, 64, H/8, W/8)
        coarse, fine = self.stage4(coarse, fine)  # (N, 256, H/32, W/32); (N, 64, H/8, W/8)
        coarse = self.context(self.coarse5(coarse))  # (N, 128, H/64, W/64)
        fine = self.fine5(fine)  # (N, 128, H/8, W/8)
        logits: Tensor = self.head(fine + resize_like(coarse, fine))
        return logits


def _pair(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Sequential:
    """Two basic blocks; the ReLU after the second's sum is the caller's."""
    return nn.Sequential(
        BasicBlock(in_channels, out_channels, stride=stride),
        BasicBlock(out_channels, out_channels, final=False),
    )


class DualStage(nn.Module):
    """Two basic blocks in each branch, then each branch adds what the other found.

    (N, in_channels, h, w) and (N, fine, H, W) → (N, widths[-1], h/2, w/2) and (N, fine, H, W),
    both after ReLU. widths: channels after each stride-2 convolution that leads from the fine
    branch to the coarse one.
    """

    def __init__(self, in_channels: int, fine: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.coarse = _pair(in_channels, widths[-1], stride=2)
        self.fine = _pair(fine, fine)
        self.up = nn.Sequential(nn.ReLU(), ConvNormAct(widths[-1], fine, 1, act="none"))
        steps = itertools.pairwise((fine, *widths))
        self.down = nn.Sequential(
            *(m for i, o in steps for m in (nn.ReLU(), ConvNormAct(i, o, stride=2, act="none")))
        )

    def forward(self, coarse: Tensor, fine: Tensor) -> tuple[Tensor, Tensor]:
        coarse, fine = self.coarse(coarse), self.fine(fine)
        return (
            F.relu(coarse + self.down(fine)),
            F.relu(fine + resize_like(self.up(coarse), fine)),
        )


class Bottleneck(nn.Module):
    """Residual 1x1 → 3x3 → 1x1 that doubles the channels; no ReLU after the sum.

    (N, in_channels, H, W) → (N, 2 · mid_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, mid_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        out_channels = 2 * mid_channels
        self.branch = nn.Sequential(
            ConvNormAct(in_channels, mid_channels, 1),
            ConvNormAct(mid_channels, mid_channels, stride=stride),
            ConvNormAct(mid_channels, out_channels, 1, act="none"),
        )
        self.shortcut = ConvNormAct(in_channels, out_channels, 1, stride=stride, act="none")

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shortcut(x) + self.branch(x)
        return y


class DAPPM(nn.Module):
    """Deep aggregation pyramid pooling: each level adds the finer one's result, then a 3x3.

    (N, in_channels, H, W) → (N, out_channels, H, W). mid_channels: of each of the five levels.
    Batch norm and ReLU come before each convolution.
    """

    def __init__(self, in_channels: int, mid_channels: int, out_channels: int) -> None:
        super().__init__()
        self.point = _before(in_channels, mid_channels, 1)
        pools = [nn.AvgPool2d(kernel, stride, kernel // 2) for kernel, stride in POOLS]
        self.levels = nn.ModuleList(
            nn.Sequential(pool, _before(in_channels, mid_channels, 1))
            for pool in (*pools, GlobalAverage())
        )
        self.smooth = nn.ModuleList(_before(mid_channels, mid_channels, 3) for _ in self.levels)
        self.project = _before(mid_channels * (len(self.levels) + 1), out_channels, 1)
        self.shortcut = _before(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        found = [self.point(x)]  # each (N, mid_channels, H, W)
        for level, smooth in zip(self.levels, self.smooth, strict=True):
            found.append(smooth(found[-1] + resize_like(level(x), x)))
        y: Tensor = self.project(torch.cat(found, 1)) + self.shortcut(x)
        return y


def _before(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    """Batch norm → ReLU → convolution."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(NormAct(in_channels), conv)
