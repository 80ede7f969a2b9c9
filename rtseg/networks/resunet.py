"""ResUNet: a U-Net of residual blocks.

Road Extraction by Deep Residual U-Net, Zhang, Liu & Wang 2017, https://arxiv.org/abs/1711.10684,
after The Importance of Skip Connections in Biomedical Image Segmentation, Drozdzal et al. 2016,
https://arxiv.org/abs/1608.04117: long skips bring detail from the encoder to the decoder, short
ones inside each block let the gradient through, and both together train best.

Layout and widths are Zhang's: four sizes, 64 to 512 channels, one block of two 3x3 convolutions
for each size on the way down and up, halving by a strided convolution instead of a pool. What
differs: activations come after the batch norm's convolution, as in He et al. 2015, not before it
(pre-activation), so that every batch norm can be folded; short cuts that change the channels are
1x1 convolutions, which the paper leaves open; upsampling is bilinear. No auxiliary heads: it has
none. 8.2 million parameters, of which 7.8 million, the paper's number, are in the 3x3 convolutions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rtseg.networks.layers import BasicBlock, Sizes, initialise
from rtseg.networks.upsampling import Bilinear


class ResUNet(nn.Module):
    """(N, 3, H, W) images → (N, classes, H, W) logits; H and W are multiples of 8.

    width: channels at full size; they double with each halving. 64 as published.
    """

    sizes = Sizes(8)
    output_stride = 1

    def __init__(self, classes: int, *, width: int = 64) -> None:
        super().__init__()
        widths = [width << level for level in range(4)]
        self.first = BasicBlock(3, width)
        self.down = nn.ModuleList(BasicBlock(w, 2 * w, stride=2) for w in widths[:-1])
        self.up = Bilinear()
        self.merge = nn.ModuleList(BasicBlock(3 * w, w) for w in reversed(widths[:-1]))
        self.score = nn.Conv2d(width, classes, 1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(x)
        x = self.first(x)
        skips: list[Tensor] = []
        for down in self.down:
            skips.append(x)  # (N, 64, H, W) … (N, 256, H/4, W/4)
            x = down(x)
        for merge in self.merge:
            x = merge(torch.cat((self.up(x), skips.pop()), 1))
        logits: Tensor = self.score(x)
        return logits
