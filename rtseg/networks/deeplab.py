"""DeepLabv3+ on MobileNetV2: atrous spatial pyramid pooling and a small decoder.

Chen et al. 2017, https://arxiv.org/abs/1706.05587 (the pyramid); Chen et al. 2018,
https://arxiv.org/abs/1802.02611 (the decoder, separable convolutions in both); Sandler et al. 2018,
https://arxiv.org/abs/1801.04381 (the encoder and its use in DeepLab). The encoder stops halving at
1/16 or 1/8, and dilation takes the place of the strides it lost; parallel dilated convolutions
then look at the features at four scales, beside the mean of the whole image. The decoder joins
them to early features at 1/4.

Differences: ReLU in place of the ReLU6 of MobileNetV2. The logits stay at 1/4 (the paper enlarges
them bilinearly at the end, which is done after the network here). There is no auxiliary head, as
published.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from rtseg.networks.layers import ConvNormAct, GlobalAverage, Sizes, initialise
from rtseg.networks.separable import InvertedResidual, Separable
from rtseg.networks.upsampling import resize_like

STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""(expansion, channels, blocks, stride of the first) of MobileNetV2, after a stem of stride 2."""
EARLY = 2
"""Stages up to 1/4, whose features the decoder takes."""
RATES = {16: (6, 12, 18), 8: (12, 24, 36)}
"""Dilations of the pyramid for each stride of the encoder: the same distances in the image."""


class DeepLab(nn.Module):
    """(N, 3, H, W) images → (N, classes, H/4, W/4) logits; H and W are multiples of 4.

    encoder_stride: at which the encoder stops, the papers' "output stride"; 8 is finer and slower.
    width: channels of the pyramid and of the decoder. Raises ValueError for another stride.
    """

    sizes = Sizes(4)
    output_stride = 4

    def __init__(
        self, classes: int, *, encoder_stride: Literal[8, 16] = 16, width: int = 256
    ) -> None:
        super().__init__()
        if encoder_stride not in RATES:
            raise ValueError(f"encoder stride {encoder_stride!r}; expected 8 or 16")
        stem = ConvNormAct(3, 32, stride=2)
        stages = _mobilenet(encoder_stride)
        early, deep = STAGES[EARLY - 1][1], STAGES[-1][1]
        self.early = nn.Sequential(stem, *stages[:EARLY])
        self.deep = nn.Sequential(*stages[EARLY:])
        self.pyramid = AtrousPyramid(deep, width, RATES[encoder_stride])
        self.decoder = Decoder(early, width, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(x)
        early = self.early(x)  # (N, 24, H/4, W/4)
        deep = self.pyramid(self.deep(early))  # (N, width, H/16, W/16) or at 1/8, rounded up
        logits: Tensor = self.decoder(deep, early)
        return logits


def _mobilenet(encoder_stride: int) -> list[nn.Sequential]:
    """The stages of MobileNetV2, from 32 channels at 1/2 on.

    Where a stride would lead below `encoder_stride`, the blocks after it are dilated by it instead.
    The block that lost the stride keeps the dilation before: its own input is as dense as it was.
    """
    stages = []
    channels, reached, dilation = 32, 2, 1
    for expansion, out_channels, count, stride in STAGES:
        before, halves = dilation, reached * stride <= encoder_stride
        if halves:
            reached *= stride
        else:
            dilation *= stride
        blocks = [
            InvertedResidual(
                channels if i == 0 else out_channels,
                out_channels,
                expansion=expansion,
                stride=stride if i == 0 and halves else 1,
                dilation=before if i == 0 else dilation,
            )
            for i in range(count)
        ]
        stages.append(nn.Sequential(*blocks))
        channels = out_channels
    return stages


class AtrousPyramid(nn.Module):
    """Features at several scales: a 1x1, a dilated 3x3 of each rate, the image's mean; 1x1.

    (N, in_channels, H, W) → (N, width, H, W).
    """

    def __init__(self, in_channels: int, width: int, rates: tuple[int, ...]) -> None:
        super().__init__()
        self.point = ConvNormAct(in_channels, width, 1)
        self.around = nn.ModuleList(Separable(in_channels, width, dilation=rate) for rate in rates)
        self.image = nn.Sequential(GlobalAverage(), ConvNormAct(in_channels, width, 1))
        self.project = nn.Sequential(
            ConvNormAct(width * (len(rates) + 2), width, 1), nn.Dropout(0.1)
        )

    def forward(self, x: Tensor) -> Tensor:
        image = resize_like(self.image(x), x)  # (N, width, 1, 1) → (N, width, H, W)
        branches = (self.point(x), *(conv(x) for conv in self.around), image)
        y: Tensor = self.project(torch.cat(branches, 1))
        return y


class Decoder(nn.Module):
    """Deep features, enlarged, beside few channels of early ones; two separable 3x3; scores.

    (N, width, h, w) and (N, early, H, W) → (N, classes, H, W).
    """

    def __init__(self, early: int, width: int, classes: int) -> None:
        super().__init__()
        self.early = ConvNormAct(early, 48, 1)
        self.refine = nn.Sequential(Separable(width + 48, width), Separable(width, width))
        self.score = nn.Conv2d(width, classes, 1)

    def forward(self, deep: Tensor, early: Tensor) -> Tensor:
        y = self.early(early)  # (N, 48, H, W)
        logits: Tensor = self.score(self.refine(torch.cat((resize_like(deep, y), y), 1)))
        return logits
