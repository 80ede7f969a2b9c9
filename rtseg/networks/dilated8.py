"""Multi-Scale Context Aggregation by Dilated Convolutions.

Yu & Koltun 2015, https://arxiv.org/abs/1511.07122. A front end, VGG-16 without its last two pools:
the convolutions after them are dilated by 2 and 4 instead, so that they see what they would have
seen, but give an answer for each pixel at 1/8. A context module behind it, 3x3 convolutions on the
class scores whose dilation doubles: the receptive field grows exponentially, to 67x67 of those
pixels, at full resolution. It starts as the identity.

What differs from the paper: "same" padding in place of unpadded convolutions on an image padded by
reflection; batch norm in the encoder (see `rtseg.networks.vgg`); both parts are trained together.
No auxiliary heads: it has none. 134.3 million parameters at 11 classes, 103 million of which are
fc6; of the context module 7.8 thousand in the basic and 1.9 million in the large form.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rtseg.networks.layers import ConvDropout, Sizes, initialise
from rtseg.networks.vgg import vgg_stage

DILATIONS = (1, 1, 2, 4, 8, 16, 1, 1)
"""Of the context module's layers; the last is 1x1, the others 3x3."""

BASIC = (1, 1, 1, 1, 1, 1, 1, 1)
LARGE = (2, 2, 4, 8, 16, 32, 32, 1)
"""Channels of the context module's layers in multiples of the classes: the paper's table 1."""


class Dilated8(nn.Module):
    """(N, 3, H, W) images → (N, classes, H/8, W/8) logits; H and W are multiples of 8.

    context: `BASIC` or `LARGE`.
    """

    sizes = Sizes(8)
    output_stride = 8

    def __init__(self, classes: int, *, context: tuple[int, ...] = BASIC) -> None:
        super().__init__()
        self.front = nn.Sequential(
            *(layer for i in range(3) for layer in (vgg_stage(i), nn.MaxPool2d(2))),
            vgg_stage(3),
            vgg_stage(4, dilation=2),
            ConvDropout(512, 4096, 7, dilation=4),  # fc6
            ConvDropout(4096, 4096),  # fc7
        )
        self.score = nn.Conv2d(4096, classes, 1)
        initialise(self)
        nn.init.normal_(self.score.weight, std=0.001)  # as the authors', github.com/fyu/dilation
        self.context = Context(classes, context)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(x)
        logits: Tensor = self.context(self.score(self.front(x)))  # at 1/8 throughout
        return logits


class Context(nn.Sequential):
    """(N, classes, H, W) scores → (N, classes, H, W) scores that have seen 67x67 others.

    Starts as the identity for scores that are not negative. widths: channels of each layer in
    multiples of the classes.
    """

    def __init__(self, classes: int, widths: tuple[int, ...] = BASIC) -> None:
        super().__init__()
        channels = classes
        for i, (dilation, width) in enumerate(zip(DILATIONS, widths, strict=True)):
            last = i == len(DILATIONS) - 1
            self.append(_identity(classes, channels, width * classes, 1 if last else 3, dilation))
            if not last:
                self.append(nn.ReLU(inplace=True))
            channels = width * classes


def _identity(classes: int, before: int, after: int, kernel: int, dilation: int) -> nn.Conv2d:
    """A convolution that hands on each class's share of channels, equations 4 and 5 of the paper.

    Where a class has several channels, noise makes them differ: its standard deviation is one
    hundredth of the weight that the centre gets.
    """
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(before, after, kernel, padding=padding, dilation=dilation)
    gain = classes / after
    of_input, of_output = (torch.arange(n) * classes // n for n in (before, after))  # the class
    nn.init.normal_(conv.weight, std=0.01 * gain if max(before, after) > classes else 0.0)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    with torch.no_grad():
        conv.weight[..., kernel // 2, kernel // 2][of_output[:, None] == of_input] = gain
    return conv
