"""The One Hundred Layers Tiramisu: Fully Convolutional DenseNets for Semantic Segmentation.

Jégou et al. 2016, https://arxiv.org/abs/1611.09326. Each layer of a dense block sees the features
of all layers before it and adds `growth` new ones. On the way down a block hands on all that it has
seen; on the way up only its new features are upsampled, so that their number does not explode: what
was there before comes again through the skip from the encoder.

What differs from the paper: sizes are multiples of 32, so that nothing has to be cropped; the
convolutions of the layers have no bias, which a batch norm would take away again. No auxiliary
heads: it has none. 1.4, 3.5 and 9.3 million parameters. The paper's table has 1.5, 3.5 and 9.4; the
authors count the statistics of the batch norms, which explains all but the first
(https://github.com/SimJeg/FC-DenseNet/issues/31).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor, nn

from rtseg.networks.layers import NormAct, Sizes
from rtseg.networks.upsampling import Transposed

FIRST = 48
DROPOUT = 0.2


@dataclass(frozen=True, slots=True)
class FCDenseNetConfig:
    """growth: new features of each layer. down: layers of each block on the way down, mirrored on
    the way up. bottom: layers of the block between."""

    growth: int
    down: tuple[int, ...]
    bottom: int


FC56 = FCDenseNetConfig(growth=12, down=(4, 4, 4, 4, 4), bottom=4)
FC67 = FCDenseNetConfig(growth=16, down=(5, 5, 5, 5, 5), bottom=5)
FC103 = FCDenseNetConfig(growth=16, down=(4, 5, 7, 10, 12), bottom=15)


class FCDenseNet(nn.Module):
    """(N, 3, H, W) images → (N, classes, H, W) logits; H and W are multiples of 32."""

    sizes = Sizes(32)
    output_stride = 1

    def __init__(self, classes: int, config: FCDenseNetConfig) -> None:
        super().__init__()
        growth, down = config.growth, config.down
        # Channels before the first block on the way down, and after each:
        seen = list(accumulate((growth * n for n in down), initial=FIRST))
        new = [growth * n for n in (config.bottom, *reversed(down))]
        self.first = nn.Conv2d(3, FIRST, 3, padding=1)
        self.down = nn.ModuleList(
            DenseBlock(growth, *pair) for pair in zip(seen[:-1], down, strict=True)
        )
        self.shrink = nn.ModuleList(_transition_down(channels) for channels in seen[1:])
        self.bottom = DenseBlock(growth, seen[-1], config.bottom, keep=False)
        self.grow = nn.ModuleList(Transposed(n, n, 3, uneven=True) for n in new[:-1])
        self.up = nn.ModuleList(  # the last one keeps all, for the score
            DenseBlock(growth, skip + n, count, keep=skip == seen[1])
            for skip, n, count in zip(reversed(seen[1:]), new[:-1], reversed(down), strict=True)
        )
        self.score = nn.Conv2d(seen[1] + new[-2] + new[-1], classes, 1)
        _he_uniform(self)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(x)
        x = self.first(x)  # (N, 48, H, W)
        skips: list[Tensor] = []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            skips.append(block(x))
            x = shrink(skips[-1])
        x = self.bottom(x)  # (N, new, H/32, W/32)
        for grow, block in zip(self.grow, self.up, strict=True):
            x = block(torch.cat((grow(x), skips.pop()), 1))
        logits: Tensor = self.score(x)
        return logits


class DenseBlock(nn.Module):
    """(N, channels, H, W) → (N, count·growth, H, W) new features, behind the input's if `keep`."""

    def __init__(self, growth: int, channels: int, count: int, *, keep: bool = True) -> None:
        super().__init__()
        self.keep = keep
        self.layers = nn.ModuleList(
            PreActConv(channels + i * growth, growth, 3) for i in range(count)
        )

    def forward(self, x: Tensor) -> Tensor:
        new: list[Tensor] = []
        for layer in self.layers:
            if new:
                x = torch.cat((x, new[-1]), 1)
            new.append(layer(x))
        return torch.cat((x, new[-1]) if self.keep else new, 1)


class PreActConv(nn.Sequential):
    """Batch norm → ReLU → "same" convolution → dropout; changes the number of channels only."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__(
            NormAct(in_channels),
            nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False),
            nn.Dropout(DROPOUT),
        )


def _transition_down(channels: int) -> nn.Sequential:
    """(N, channels, H, W) → (N, channels, H/2, W/2)."""
    return nn.Sequential(PreActConv(channels, channels, 1), nn.MaxPool2d(2))


def _he_uniform(network: nn.Module) -> None:
    """The paper's initialisation. Scaled by the inputs, unlike `layers.initialise`: the layers turn
    hundreds of channels into a few, and the score takes their sums as they are."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
