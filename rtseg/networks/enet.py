"""ENet: A Deep Neural Network Architecture for Real-Time Semantic Segmentation.

Paszke, Chaurasia, Kim & Culurciello 2016, https://arxiv.org/abs/1606.02147. The size is reduced
early, and the encoder is made of cheap bottlenecks: regular, dilated or asymmetric. The small
decoder puts values back where the encoder's max pooling found them.

What the paper leaves open is as in the authors' code (https://github.com/e-lab/ENet-training): the
3x3 deconvolutions of the upsampling bottlenecks, a quarter of the output's channels inside each
bottleneck, no activation before a sum, the 2x2 deconvolution at the end. Where that code differs,
the paper counts: dropout in the decoder too, batch norm and PReLU between 5x1 and 1x5. Batch norm
has the usual eps of 1e-5 (1e-3 there). The paper trains the encoder alone first, with a 1x1
classifier; that head is left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rtseg.networks.layers import (
    Activation,
    ConvNormAct,
    PooledConv,
    Sizes,
    TransposedNormAct,
    initialise,
)
from rtseg.networks.upsampling import MaxPool, MaxUnpool, Transposed


class ENet(nn.Module):
    """(N, 3, H, W) images → (N, classes, H, W) logits; H and W are multiples of 8."""

    sizes = Sizes(8)
    output_stride = 1

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.initial = PooledConv(3, 16, act="prelu")
        self.down1 = DownBottleneck(16, 64, dropout=0.01)
        self.stage1 = nn.Sequential(*(Bottleneck(64, plain(16), dropout=0.01) for _ in range(4)))
        self.down2 = DownBottleneck(64, 128, dropout=0.1)
        self.stage2 = context_stage()
        self.stage3 = context_stage()
        self.up4 = UpBottleneck(128, 64)
        self.stage4 = nn.Sequential(decoding(64), decoding(64))
        self.up5 = UpBottleneck(64, 16)
        self.stage5 = decoding(16)
        self.score = Transposed(16, classes, 2, stride=2)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(x)
        y, where1 = self.down1(self.initial(x))  # (N, 64, H/4, W/4), (N, 16, H/2, W/2)
        y, where2 = self.down2(self.stage1(y))  # (N, 128, H/8, W/8), (N, 64, H/4, W/4)
        y = self.stage3(self.stage2(y))  # (N, 128, H/8, W/8)
        y = self.stage4(self.up4(y, where2))  # (N, 64, H/4, W/4)
        y = self.stage5(self.up5(y, where1))  # (N, 16, H/2, W/2)
        logits: Tensor = self.score(y)  # (N, classes, H, W)
        return logits


def context_stage() -> nn.Sequential:
    """Bottlenecks 2.1–2.8, the same as 3.1–3.8: (N, 128, H, W) → (N, 128, H, W)."""
    convs = (
        plain(32), plain(32, dilation=2), asymmetric(32), plain(32, dilation=4),
        plain(32), plain(32, dilation=8), asymmetric(32), plain(32, dilation=16),
    )  # fmt: skip
    return nn.Sequential(*(Bottleneck(128, conv, dropout=0.1) for conv in convs))


def decoding(channels: int) -> Bottleneck:
    """A regular bottleneck of the decoder, which has ReLU in place of PReLU."""
    return Bottleneck(channels, plain(channels // 4, act="relu"), dropout=0.1, act="relu")


def plain(width: int, *, dilation: int = 1, act: Activation = "prelu") -> nn.Module:
    """The 3x3 convolution in the middle of a bottleneck."""
    return ConvNormAct(width, width, dilation=dilation, act=act)


def asymmetric(width: int) -> nn.Module:
    """A 5x5 convolution as a product of 5x1 and 1x5."""
    return nn.Sequential(
        ConvNormAct(width, width, (5, 1), act="prelu"),
        ConvNormAct(width, width, (1, 5), act="prelu"),
    )


class Bottleneck(nn.Module):
    """1x1 reduce to a quarter → `conv` → 1x1 expand → dropout, added to the input.

    (N, channels, H, W) → (N, channels, H, W). conv: keeps the shape of (N, channels/4, H, W).
    """

    def __init__(
        self, channels: int, conv: nn.Module, *, dropout: float, act: Activation = "prelu"
    ) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            ConvNormAct(channels, channels // 4, 1, act=act),
            conv,
            ConvNormAct(channels // 4, channels, 1, act="none"),
            nn.Dropout2d(dropout),
        )
        self.act = nn.PReLU(channels) if act == "prelu" else nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(x + self.branch(x))
        return y


class DownBottleneck(nn.Module):
    """2x2 reduce with stride 2 → 3x3 → 1x1 expand, added to the max-pooled input.

    (N, in_channels, H, W) → (N, out_channels, H/2, W/2), and where the maxima were, see `MaxPool`.
    """

    def __init__(self, in_channels: int, out_channels: int, *, dropout: float) -> None:
        super().__init__()
        width = out_channels // 4
        self.branch = nn.Sequential(
            ConvNormAct(in_channels, width, 2, stride=2, act="prelu"),
            plain(width),
            ConvNormAct(width, out_channels, 1, act="none"),
            nn.Dropout2d(dropout),
        )
        self.pool = MaxPool()
        self.missing = out_channels - in_channels
        self.act = nn.PReLU(out_channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        pooled, where = self.pool(x)
        # The channels that the input lacks are zeros.
        pooled = F.pad(pooled, (0, 0, 0, 0, 0, self.missing))
        return self.act(pooled + self.branch(x)), where


class UpBottleneck(nn.Module):
    """1x1 reduce → 3x3 deconvolution → 1x1 expand, added to the projected and unpooled input.

    (N, in_channels, H, W) and `where`, (N, out_channels, 2H, 2W) of the `DownBottleneck` that made
    this size → (N, out_channels, 2H, 2W).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        width = out_channels // 4
        self.branch = nn.Sequential(
            ConvNormAct(in_channels, width, 1),
            TransposedNormAct(width, width),
            ConvNormAct(width, out_channels, 1, act="none"),
            nn.Dropout2d(0.1),
        )
        self.shortcut = ConvNormAct(in_channels, out_channels, 1, act="none")
        self.unpool = MaxUnpool()

    def forward(self, x: Tensor, where: Tensor) -> Tensor:
        return torch.relu(self.unpool(self.shortcut(x), where) + self.branch(x))
