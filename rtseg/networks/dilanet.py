"""DilaNet: a light dilated encoder-decoder made for inference engines.

Ours. The encoder goes to 1/8 of the input with three plain stride-2 convolutions and stays there:
residual bottlenecks whose 3x3 convolutions have rising dilation rates, in runs that start again
at 1 (1-2-1-2-4-1-2-4-8 …), so that no pixel is left out of the grid (hybrid dilated convolution,
Wang et al. 2018, https://arxiv.org/abs/1702.08502). The decoder adds a 1x1-projected skip from
1/4, refines it with one 3x3 and scores it there.

What is left out is as much the design: no depthwise convolution, no channel shuffle, no
squeeze-and-excitation, no PReLU (each is slow for its accuracy in an engine), no unpooling, and no
upsampling of the logits in the graph: the postprocess kernel does that at the frame's own size.
All channels are multiples of 16, the vector width of both CPUs and tensor cores.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from rtseg.networks.layers import ConvNormAct, DilatedBottleneck, Sizes, initialise


@dataclass(frozen=True, slots=True)
class DilaNetConfig:
    """Widths and depths; all channels are multiples of 16.

    stem: channels at 1/2 and at 1/4. mid_at_4: width of each bottleneck at 1/4. channels: width
    at 1/8. mid: bottleneck width at 1/8. dilations: one bottleneck at 1/8 for each. decoder: its
    width.
    """

    stem: tuple[int, int]
    mid_at_4: tuple[int, ...]
    channels: int
    mid: int
    dilations: tuple[int, ...]
    decoder: int


SMALL = DilaNetConfig(
    stem=(16, 32),
    mid_at_4=(),
    channels=64,
    mid=32,
    dilations=(1, 2, 4, 1, 2, 4, 8, 4, 8),
    decoder=32,
)
MEDIUM = DilaNetConfig(
    stem=(32, 48),
    mid_at_4=(32,),
    channels=128,
    mid=48,
    dilations=(1, 2, 1, 2, 4, 1, 2, 4, 8, 2, 4, 8, 4, 8),
    decoder=48,
)


class DilaNet(nn.Module):
    """(N, 3, H, W) images → (N, classes, H/4, W/4) logits; H and W are multiples of 8."""

    sizes = Sizes(8)
    output_stride = 4

    def __init__(self, classes: int, config: DilaNetConfig) -> None:
        super().__init__()
        half, quarter = config.stem
        self.stem = nn.Sequential(
            ConvNormAct(3, half, stride=2),
            ConvNormAct(half, quarter, stride=2),
            *(DilatedBottleneck(quarter, mid) for mid in config.mid_at_4),
        )
        self.down = ConvNormAct(quarter, config.channels, stride=2)
        self.context = nn.Sequential(
            *(
                DilatedBottleneck(config.channels, config.mid, dilation=rate)
                for rate in config.dilations
            )
        )
        self.decoder = Decoder(config.channels, quarter, config.decoder, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(x)
        quarter = self.stem(x)  # (N, stem, H/4, W/4)
        eighth = self.context(self.down(quarter))  # (N, channels, H/8, W/8)
        logits: Tensor = self.decoder(eighth, quarter)
        return logits


class Decoder(nn.Module):
    """Deep features at 1/8, doubled, plus a projected skip at 1/4; one 3x3; class scores."""

    def __init__(self, deep: int, skip: int, width: int, classes: int) -> None:
        super().__init__()
        self.deep = ConvNormAct(deep, width, 1)
        self.skip = ConvNormAct(skip, width, 1)
        self.refine = ConvNormAct(width, width, 3)
        self.score = nn.Conv2d(width, classes, 1)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        up = F.interpolate(self.deep(deep), scale_factor=2.0, mode="bilinear", align_corners=False)
        logits: Tensor = self.score(self.refine(up + self.skip(skip)))
        return logits
