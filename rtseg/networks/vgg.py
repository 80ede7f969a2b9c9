"""The convolutions of VGG-16, the encoder of FCN, SegNet and the dilated front end.

Simonyan & Zisserman 2014, https://arxiv.org/abs/1409.1556, configuration D. Batch norm follows
every convolution, which the paper does not have: nothing here starts from ImageNet weights, and
without it so deep a plain stack hardly trains. It is folded away in the deployed file, so that
costs nothing.
"""

from __future__ import annotations

from torch import nn

from rtseg.networks.layers import ConvNormAct

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""(channels, number of 3x3 convolutions) of each stage; a 2x2 max pool follows each."""


def vgg_stage(index: int, *, dilation: int = 1) -> nn.Sequential:
    """The convolutions of stage 0–4: (N, previous channels, H, W) → (N, channels, H, W)."""
    channels, count = STAGES[index]
    previous = STAGES[index - 1][0] if index else 3
    return nn.Sequential(
        *(
            ConvNormAct(previous if i == 0 else channels, channels, dilation=dilation)
            for i in range(count)
        )
    )
