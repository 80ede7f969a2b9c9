"""DABNet: Depth-wise Asymmetric Bottleneck for Real-time Semantic Segmentation.

Li & Kim 2019, https://arxiv.org/abs/1907.11357. A bottleneck with two depthwise branches, one for
what is near and a dilated one for what is around it, each a 3x1 and a 1x3 convolution: 0.76 M
parameters. The image itself, averaged down, is joined to the features after each stage.

Differences: the logits stay at 1/8 (the paper enlarges them bilinearly at the end, which is done
after the network here), and batch norm has the usual eps of 1e-5 (published 1e-3).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rtseg.networks.layers import ConvNormAct, NormAct, PooledConv, Sizes, initialise


class DABNet(nn.Module):
    """(N, 3, H, W) images → (N, classes, H/8, W/8) logits; H and W are multiples of 8."""

    sizes = Sizes(8)
    output_stride = 8

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.initial = nn.Sequential(
            ConvNormAct(3, 32, stride=2, act="prelu"),
            ConvNormAct(32, 32, act="prelu"),
            ConvNormAct(32, 32, act="prelu"),
        )
        self.halve = nn.AvgPool2d(3, stride=2, padding=1)
        self.joined2 = NormAct(32 + 3, "prelu")
        self.down4 = PooledConv(32 + 3, 64, act="prelu")
        self.block4 = nn.Sequential(*(DABModule(64, rate) for rate in (2, 2, 2)))
        self.joined4 = NormAct(2 * 64 + 3, "prelu")
        # Not a `PooledConv`: pooling would keep more channels than this stage has.
        self.down8 = ConvNormAct(2 * 64 + 3, 128, stride=2, act="prelu")
        self.block8 = nn.Sequential(*(DABModule(128, rate) for rate in (4, 4, 8, 8, 16, 16)))
        self.joined8 = NormAct(2 * 128 + 3, "prelu")
        self.score = nn.Conv2d(2 * 128 + 3, classes, 1, bias=False)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(x)
        image2 = self.halve(x)  # (N, 3, H/2, W/2)
        image4 = self.halve(image2)
        image8 = self.halve(image4)
        y = self.joined2(torch.cat((self.initial(x), image2), 1))  # (N, 35, H/2, W/2)
        y = self.down4(y)
        y = self.joined4(torch.cat((self.block4(y), y, image4), 1))  # (N, 131, H/4, W/4)
        y = self.down8(y)
        y = self.joined8(torch.cat((self.block8(y), y, image8), 1))  # (N, 259, H/8, W/8)
        logits: Tensor = self.score(y)
        return logits


class DABModule(nn.Module):
    """3x3 reduce to half → near branch + dilated branch → 1x1 expand, added to the input.

    (N, channels, H, W) → (N, channels, H, W). Batch norm and PReLU come before the block and are
    left out after it (pre-activation).
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        width = channels // 2
        self.reduce = nn.Sequential(
            NormAct(channels, "prelu"), ConvNormAct(channels, width, act="prelu")
        )
        self.near = _asymmetric(width, 1)
        self.around = _asymmetric(width, dilation)
        self.expand = nn.Sequential(
            NormAct(width, "prelu"), nn.Conv2d(width, channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.reduce(x)  # (N, channels / 2, H, W)
        y = self.expand(self.near(y) + self.around(y))
        out: Tensor = x + y
        return out


def _asymmetric(channels: int, dilation: int) -> nn.Sequential:
    """Depthwise 3x1 → depthwise 1x3, both dilated along their length."""
    return nn.Sequential(
        ConvNormAct(
            channels, channels, (3, 1), dilation=(dilation, 1), groups=channels, act="prelu"
        ),
        ConvNormAct(
            channels, channels, (1, 3), dilation=(1, dilation), groups=channels, act="prelu"
        ),
    )
