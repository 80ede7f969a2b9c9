"""U-Net: Convolutional Networks for Biomedical Image Segmentation.

Ronneberger, Fischer & Brox 2015, https://arxiv.org/abs/1505.04597. An encoder halves the size four
times and doubles the channels; a decoder mirrors it, and at each size what the encoder had there is
concatenated. The paper's convolutions are unpadded (`padding="valid"`): the logits cover the image
but for a margin of 92 pixels. With `padding="reflect"` they cover all of it.

What differs from the paper: batch norm follows each convolution, without which a network this deep
that starts from random weights trains slowly and may not at all; it is folded away in the deployed
file. The paper's dropout at the end of the encoder is left out for it, as in
`rtseg.networks.layers.ConvDropout`. Three input channels instead of one. No auxiliary heads: it
has none. 31.0 million parameters.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from rtseg.networks.layers import ConvNormAct, Sizes, initialise
from rtseg.networks.upsampling import Kind, Transposed
from rtseg.networks.upsampling import upsampling as parameter_free

Padding = Literal["reflect", "valid"]

WIDTHS = (64, 128, 256, 512)
BOTTOM = 1024
CROPS = (4, 16, 40, 88)
"""Pixels cut off each side of a skip, deepest first: (64 - 56) / 2 … (568 - 392) / 2, figure 1."""


class UNet(nn.Module):
    """(N, 3, H, W) images → (N, classes, H, W) logits, with "valid" (N, classes, H - 184, W - 184).

    padding: "reflect": H and W are multiples of 16; "valid": multiples of 16 plus 12, from 188 on.
    upsampling: "transposed", the paper's 2x2 up-convolution, or a 1x1 convolution and any kind of
    `rtseg.networks.upsampling` but "unpool", whose positions the skips bring along anyway.
    margin: pixels on each side of the image without logits, to be cut off the labels; with "valid"
    `valid_margin`.
    """

    sizes = Sizes(16, minimum=32)  # 2x2 pixels at the bottom, the fewest that can be reflected
    valid_sizes = Sizes(16, offset=12, minimum=188)
    valid_margin = 92
    output_stride = 1

    def __init__(
        self, classes: int, *, padding: Padding = "reflect", upsampling: Kind = "transposed"
    ) -> None:
        super().__init__()
        valid = padding == "valid"
        self.margin = self.valid_margin if valid else 0
        if valid:
            self.sizes = self.valid_sizes
        self.crops = CROPS if valid else (0,) * len(CROPS)
        self.down = nn.ModuleList(
            _double(before, width, padding)
            for before, width in zip((3, *WIDTHS[:-1]), WIDTHS, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.bottom = _double(WIDTHS[-1], BOTTOM, padding)
        self.up = nn.ModuleList(_up(width, upsampling) for width in reversed(WIDTHS))
        self.merge = nn.ModuleList(_double(2 * w, w, padding) for w in reversed(WIDTHS))
        self.score = nn.Conv2d(WIDTHS[0], classes, 1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(x)
        skips: list[Tensor] = []
        for down in self.down:
            skips.append(down(x))  # (N, 64, H, W) … (N, 512, H/8, W/8)
            x = self.pool(skips[-1])
        x = self.bottom(x)  # (N, 1024, H/16, W/16)
        for up, merge, crop in zip(self.up, self.merge, self.crops, strict=True):
            x = merge(torch.cat((_cropped(skips.pop(), crop), up(x)), 1))
        logits: Tensor = self.score(x)
        return logits


def _double(in_channels: int, out_channels: int, padding: Padding) -> nn.Sequential:
    """Two 3x3 convolutions; "valid" ones take two pixels off each side."""

    def conv(channels: int) -> ConvNormAct:
        if padding == "valid":
            return ConvNormAct(channels, out_channels, padding=0)
        return ConvNormAct(channels, out_channels, padding_mode=padding)

    return nn.Sequential(conv(in_channels), conv(out_channels))


def _up(channels: int, kind: Kind) -> nn.Module:
    """(N, 2·channels, H, W) → (N, channels, 2H, 2W). Raises ValueError for "unpool"."""
    if kind == "transposed":
        return Transposed(2 * channels, channels, 2, bias=False)  # a batch norm adds one soon
    if kind == "unpool":
        raise ValueError("upsampling 'unpool': U-Net's decoder has no positions; take another kind")
    return nn.Sequential(ConvNormAct(2 * channels, channels, 1), parameter_free(kind, channels))


def _cropped(x: Tensor, margin: int) -> Tensor:
    return x[..., margin:-margin, margin:-margin] if margin else x
