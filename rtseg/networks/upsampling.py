"""Upsampling as interchangeable modules: (N, C, H, W) → (N, C, scale·H, scale·W).

All are called as `up(x, where)`, by position. `where` is what `MaxPool` remembered of the encoder;
only `MaxUnpool` needs it, the others ignore it.
"""

from __future__ import annotations

import warnings
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Kind = Literal["nearest", "bilinear", "nails", "unpool", "transposed"]


class CheckerboardWarning(UserWarning):
    """A transposed convolution covers some output pixels more often than others."""


def upsampling(kind: Kind, channels: int, scale: int = 2) -> nn.Module:
    """The upsampling of that name. Raises ValueError for an unknown one, and for unpooling by
    another scale than 2."""
    if kind == "transposed":
        return Transposed(channels, channels, 2 * scale, stride=scale)
    if kind == "nails":
        return BedOfNails(channels, scale)
    if kind == "unpool" and scale == 2:
        return MaxUnpool()
    if kind in ("nearest", "bilinear"):
        return Nearest(scale) if kind == "nearest" else Bilinear(scale)
    raise ValueError(f"upsampling {kind!r} by {scale}; expected one of {get_args(Kind)}, unpool: 2")


def resize_like(x: Tensor, other: Tensor) -> Tensor:
    """`x` bilinearly at the height and width of `other`."""
    return F.interpolate(x, size=other.shape[-2:], mode="bilinear", align_corners=False)


class Nearest(nn.Module):
    """Each value repeated in a cell of scale x scale."""

    def __init__(self, scale: int = 2) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor, _where: Tensor | None = None) -> Tensor:
        return F.interpolate(x, scale_factor=float(self.scale), mode="nearest")


class Bilinear(nn.Module):
    """Linear interpolation between pixel centres (align_corners is off)."""

    def __init__(self, scale: int = 2) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor, _where: Tensor | None = None) -> Tensor:
        return F.interpolate(
            x, scale_factor=float(self.scale), mode="bilinear", align_corners=False
        )


class BedOfNails(nn.Module):
    """Each value at the upper left of its cell of scale x scale, zeros elsewhere."""

    nail: Tensor

    def __init__(self, channels: int, scale: int = 2) -> None:
        super().__init__()
        self.scale = scale
        nail = torch.zeros(channels, 1, scale, scale)
        nail[:, :, 0, 0] = 1.0
        self.register_buffer("nail", nail, persistent=False)

    def forward(self, x: Tensor, _where: Tensor | None = None) -> Tensor:
        return F.conv_transpose2d(x, self.nail, stride=self.scale, groups=x.shape[1])


class MaxPool(nn.Module):
    """2x2 max pooling with stride 2 that says where each maximum was.

    (N, C, H, W) → (N, C, H/2, W/2) and `where`, (N, C, H, W) of the same dtype: in each cell, 1 at
    the maximum and 0 elsewhere. Of equal values the first counts, as in
    `nn.MaxPool2d(2, return_indices=True)`: after a ReLU, equal zeros are common. Made of
    comparisons, which every engine has; indices it would not have.
    """

    rank: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        rank = torch.tensor([4.0, 3.0, 2.0, 1.0]).view(1, 4, 1, 1)
        self.register_buffer("rank", rank, persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        top = self.pool(x)
        # The first of a cell's maxima has the highest rank among them.
        ranks = F.pixel_shuffle(self.rank.to(x.dtype).expand(-1, -1, *top.shape[-2:]), 2)
        ranked = (x >= _twice(top)).to(x.dtype) * ranks
        return top, (ranked >= _twice(self.pool(ranked))).to(x.dtype)


class MaxUnpool(nn.Module):
    """The inverse of `MaxPool`: each value back where its maximum was, zeros elsewhere.

    Zeiler & Fergus 2013, https://arxiv.org/abs/1311.2901; in a segmentation network
    Badrinarayanan et al. 2015, https://arxiv.org/abs/1511.00561.
    x: (N, C, H, W); where: (N, C, 2H, 2W) of `MaxPool`. → (N, C, 2H, 2W).
    """

    def forward(self, x: Tensor, where: Tensor) -> Tensor:
        return _twice(x) * where


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class Transposed(nn.ConvTranspose2d):
    """Transposed ("up-") convolution, learned; starts as bilinear interpolation if `bilinear`.

    (N, in_channels, H, W) → (N, out_channels, stride·H, stride·W).
    kernel: where it is no multiple of the stride, the output pixels are covered unevenly and the
    result has a checkerboard in it (Odena et al. 2016, https://doi.org/10.23915/distill.00003):
    that warns with CheckerboardWarning unless `uneven` says that it is meant so, as in networks
    that were published that way.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 4,
        *,
        stride: int = 2,
        bias: bool = True,
        bilinear: bool = False,
        uneven: bool = False,
    ) -> None:
        if kernel % stride and not uneven:
            warnings.warn(
                f"transposed convolution of kernel {kernel} and stride {stride}: the kernel is no "
                f"multiple of the stride, so the output gets a checkerboard; take kernel "
                f"{-(-kernel // stride) * stride}",
                CheckerboardWarning,
                stacklevel=2,
            )
        padding = max(0, -(-(kernel - stride) // 2))
        extra = stride - kernel + 2 * padding
        super().__init__(
            in_channels, out_channels, kernel, stride, padding, output_padding=extra, bias=bias
        )
        if bilinear:
            with torch.no_grad():
                self.weight.copy_(bilinear_weight(in_channels, out_channels, kernel))

    def forward(self, x: Tensor, _where: Tensor | list[int] | None = None) -> Tensor:
        return super().forward(x)


def bilinear_weight(in_channels: int, out_channels: int, kernel: int) -> Tensor:
    """(in_channels, out_channels, kernel, kernel): each channel interpolated by itself.

    Long et al. 2014, https://arxiv.org/abs/1411.4038, section 3.3.
    """
    half = (kernel + 1) // 2
    centre = half - 1 if kernel % 2 else half - 0.5
    ramp = 1 - (torch.arange(kernel) - centre).abs() / half
    weight = torch.zeros(in_channels, out_channels, kernel, kernel)
    for i in range(min(in_channels, out_channels)):
        weight[i, i] = ramp[:, None] * ramp
    return weight
