"""Depthwise convolutions and the blocks made of them."""

from __future__ import annotations

from torch import Tensor, nn

from rtseg.networks.layers import Activation, ConvNormAct


class Separable(nn.Sequential):
    """Depthwise 3x3 and pointwise 1x1 convolution, each with batch norm and an activation.

    Howard et al. 2017, https://arxiv.org/abs/1704.04861. Shapes as `ConvNormAct`.
    middle, act: the activations after the depthwise and after the pointwise convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        middle: Activation = "relu",
        act: Activation = "relu",
    ) -> None:
        super().__init__(
            depthwise(in_channels, stride=stride, dilation=dilation, act=middle),
            ConvNormAct(in_channels, out_channels, 1, act=act),
        )


class InvertedResidual(nn.Module):
    """Linear bottleneck: 1x1 expand → depthwise 3x3 → 1x1 reduce without activation.

    Sandler et al. 2018, https://arxiv.org/abs/1801.04381, with ReLU for ReLU6. The input is added
    where the shape is kept. expansion: of the inner channels; 1 leaves the first convolution out.
    (N, in_channels, H, W) → (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expansion: int = 6,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        inner = expansion * in_channels
        expand = [ConvNormAct(in_channels, inner, 1)] if expansion > 1 else []
        self.branch = nn.Sequential(
            *expand,
            Separable(inner, out_channels, stride=stride, dilation=dilation, act="none"),
        )
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.branch(x)
        return x + y if self.residual else y


def depthwise(
    channels: int,
    *,
    expansion: int = 1,
    stride: int = 1,
    dilation: int = 1,
    act: Activation = "relu",
) -> ConvNormAct:
    """3x3 convolution of each channel by itself, into `expansion` channels.

    (N, channels, H, W) → (N, expansion · channels, ceil(H / stride), ceil(W / stride)).
    """
    return ConvNormAct(
        channels,
        expansion * channels,
        stride=stride,
        dilation=dilation,
        groups=channels,
        act=act,
    )
