"""Blocks shared by the networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rtseg.errors import InputError
from rtseg.networks.upsampling import Transposed

Activation = Literal["relu", "prelu", "none"]
Pair = int | tuple[int, int]
"""One number for both axes, or (vertical, horizontal)."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The input sizes a network takes: both sides are a multiple of `stride`, plus `offset`, and
    at least `minimum` pixels."""

    stride: int
    offset: int = 0
    minimum: int = 1

    def nearest(self, width: int, height: int) -> tuple[int, int]:
        """The nearest (width, height) the network takes."""
        return self._near(width), self._near(height)

    def check(self, x: Tensor) -> None:
        """Raises InputError, with the nearest valid size, if (N, C, H, W) does not fit."""
        height, width = x.shape[-2:]
        if not (self._fits(height) and self._fits(width)):
            more = f" plus {self.offset}" if self.offset else ""
            least = f" and at least {self._least}" if self._least > self.stride else ""
            raise InputError(
                f"input of {width}x{height}; width and height must be multiples of "
                f"{self.stride}{more}{least}: the nearest is "
                "{}x{}".format(*self.nearest(int(width), int(height)))
            )

    @property
    def _least(self) -> int:
        steps = -(-(self.minimum - self.offset) // self.stride)
        return max(steps, 0 if self.offset else 1) * self.stride + self.offset

    def _near(self, side: int) -> int:
        step = round((side - self.offset) / self.stride)
        return max(self._least, step * self.stride + self.offset)

    def _fits(self, side: int) -> bool:
        return side >= self._least and (side - self.offset) % self.stride == 0


def activation(kind: Activation, channels: int) -> list[nn.Module]:
    """The activation as a list of no or one module. PReLU learns one slope a channel."""
    if kind == "none":
        return []
    return [nn.ReLU(inplace=True) if kind == "relu" else nn.PReLU(channels)]


class NormAct(nn.Sequential):
    """Batch norm → activation, for (N, channels, H, W)."""

    def __init__(self, channels: int, kind: Activation = "relu") -> None:
        super().__init__(nn.BatchNorm2d(channels), *activation(kind, channels))


class ConvNormAct(nn.Sequential):
    """Convolution without bias → batch norm → activation, "same" padding.

    (N, in_channels, H, W) → (N, out_channels, ceil(H / stride), ceil(W / stride)) for odd kernels.
    kernel and dilation: one number, or (vertical, horizontal). padding: None for "same".
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Pair = 3,
        *,
        stride: int = 1,
        dilation: Pair = 1,
        groups: int = 1,
        act: Activation = "relu",
        padding: int | None = None,
        padding_mode: Literal["zeros", "reflect"] = "zeros",
    ) -> None:
        k, d = pair(kernel), pair(dilation)
        same = (d[0] * (k[0] - 1) // 2, d[1] * (k[1] - 1) // 2)
        conv = nn.Conv2d(
            in_channels, out_channels, k, stride, same if padding is None else padding, d, groups,
            bias=False, padding_mode=padding_mode,
        )  # fmt: skip
        super().__init__(conv, nn.BatchNorm2d(out_channels), *activation(act, out_channels))


class DilatedBottleneck(nn.Module):
    """Residual bottleneck: 1x1 reduce → dilated 3x3 → 1x1 expand, added to the input, ReLU.

    He et al. 2015, https://arxiv.org/abs/1512.03385, with the dilated 3x3 of Yu et al. 2017,
    https://arxiv.org/abs/1705.09914. Shape is kept: (N, C, H, W) → (N, C, H, W).
    """

    def __init__(self, channels: int, mid_channels: int, *, dilation: int = 1) -> None:
        super().__init__()
        self.reduce = ConvNormAct(channels, mid_channels, 1)
        self.conv = ConvNormAct(mid_channels, mid_channels, 3, dilation=dilation)
        self.expand = ConvNormAct(mid_channels, channels, 1, act="none")

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.expand(self.conv(self.reduce(x))))


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions; a strided 1x1 adapts the short cut where needed.

    He et al. 2015, https://arxiv.org/abs/1512.03385.
    (N, in_channels, H, W) → (N, out_channels, ceil(H / stride), ceil(W / stride)).
    final: whether the ReLU after the sum is applied.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int = 1, final: bool = True
    ) -> None:
        super().__init__()
        self.first = ConvNormAct(in_channels, out_channels, stride=stride)
        self.second = ConvNormAct(out_channels, out_channels, act="none")
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = ConvNormAct(in_channels, out_channels, 1, stride=stride, act="none")
        self.final = final

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shortcut(x) + self.second(self.first(x))
        return F.relu(y) if self.final else y


class PooledConv(nn.Module):
    """3x3 convolution with stride 2 beside a 2x2 max pool, concatenated; batch norm, activation.

    The downsampling of ENet, Paszke et al. 2016, https://arxiv.org/abs/1606.02147, figure 2a.
    (N, in_channels, H, W) → (N, out_channels, H/2, W/2); the last in_channels are the pooled ones.
    """

    def __init__(self, in_channels: int, out_channels: int, *, act: Activation = "relu") -> None:
        super().__init__()
        self.conv = ConvNormAct(in_channels, out_channels - in_channels, stride=2, act="none")
        # Normalised before the concatenation: the same, and the convolution's can be folded.
        self.pool = nn.Sequential(nn.MaxPool2d(2), nn.BatchNorm2d(in_channels))
        self.act = nn.Sequential(*activation(act, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(torch.cat((self.conv(x), self.pool(x)), 1))
        return y


class TransposedNormAct(nn.Sequential):
    """3x3 transposed convolution with stride 2 → batch norm → ReLU.

    (N, in_channels, H, W) → (N, out_channels, 2H, 2W). Its uneven cover is that of the networks
    that were published with it (ENet, ERFNet); see `Transposed`.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            Transposed(in_channels, out_channels, 3, bias=False, uneven=True),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class ConvDropout(nn.Sequential):
    """Convolution → ReLU → dropout of one half: a fully connected layer of VGG-16 as a convolution.

    Long et al. 2014, https://arxiv.org/abs/1411.4038, section 3.1. "Same" padding, odd kernels:
    (N, in_channels, H, W) → (N, out_channels, H, W). Without batch norm: its statistics in training
    are those of values dropped at random, and would not be those in use
    (Li et al. 2018, https://arxiv.org/abs/1801.05134).
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 1, *, dilation: int = 1
    ) -> None:
        padding = dilation * (kernel - 1) // 2
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, padding=padding, dilation=dilation),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
        )


class GlobalAverage(nn.Module):
    """(N, C, H, W) → (N, C, 1, 1), the mean of each channel."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True)


class AdaptiveAverage(nn.Module):
    """(N, C, H, W) → (N, C, bins, bins), the mean of each of bins x bins parts.

    The parts are those of `nn.AdaptiveAvgPool2d`, written as two matrix products: unlike that
    module, it can be exported with height and width left free.
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self._parts(x, x.shape[-2]), self._parts(x, x.shape[-1])
        return rows @ x @ columns.T

    def _parts(self, x: Tensor, length: int) -> Tensor:
        """(bins, length): in each row, one part's equal weights."""
        part, at = torch.arange(self.bins, device=x.device), torch.arange(length, device=x.device)
        start = (part * length) // self.bins
        end = ((part + 1) * length + self.bins - 1) // self.bins
        inside = ((at >= start[:, None]) & (at < end[:, None])).to(x.dtype)
        return inside / inside.sum(1, keepdim=True)


def pair(value: Pair) -> tuple[int, int]:
    """(vertical, horizontal)."""
    return (value, value) if isinstance(value, int) else value


def initialise(network: nn.Module) -> None:
    """Kaiming-normal convolutions; residual branches start at zero, so a block starts as identity.

    Transposed convolutions keep what they were made with.
    He et al. 2015, https://arxiv.org/abs/1502.01852; Goyal et al. 2017,
    https://arxiv.org/abs/1706.02677, section 5.1.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, DilatedBottleneck):
            _zero_gain(module.expand)
        elif isinstance(module, BasicBlock):
            _zero_gain(module.second)


def _zero_gain(layer: ConvNormAct) -> None:
    norm = layer[1]
    assert isinstance(norm, nn.BatchNorm2d)
    nn.init.zeros_(norm.weight)
