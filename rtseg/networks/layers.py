"""Blocks shared by the networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvNormAct(nn.Sequential):
    """Convolution without bias → batch norm → ReLU, "same" padding.

    (N, in_channels, H, W) → (N, out_channels, ceil(H / stride), ceil(W / stride)) for odd kernels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        activation: bool = True,
    ) -> None:
        padding = dilation * (kernel - 1) // 2
        layers: list[nn.Module] = [
            nn.Conv2d(
                in_channels, out_channels, kernel, stride, padding, dilation, groups, bias=False
            ),
            nn.BatchNorm2d(out_channels),
        ]
        if activation:
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class DilatedBottleneck(nn.Module):
    """Residual bottleneck: 1x1 reduce → dilated 3x3 → 1x1 expand, added to the input, ReLU.

    He et al. 2015, https://arxiv.org/abs/1512.03385, with the dilated 3x3 of Yu et al. 2017,
    https://arxiv.org/abs/1705.09914. Shape is kept: (N, C, H, W) → (N, C, H, W).
    """

    def __init__(self, channels: int, mid_channels: int, *, dilation: int = 1) -> None:
        super().__init__()
        self.reduce = ConvNormAct(channels, mid_channels, 1)
        self.conv = ConvNormAct(mid_channels, mid_channels, 3, dilation=dilation)
        self.expand = ConvNormAct(mid_channels, channels, 1, activation=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.expand(self.conv(self.reduce(x))))


def initialise(network: nn.Module) -> None:
    """Kaiming-normal convolutions; residual branches start at zero, so a block starts as identity.

    He et al. 2015, https://arxiv.org/abs/1502.01852; Goyal et al. 2017,
    https://arxiv.org/abs/1706.02677, section 5.1.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, DilatedBottleneck):
            norm = module.expand[1]
            assert isinstance(norm, nn.BatchNorm2d)
            nn.init.zeros_(norm.weight)


def count_parameters(network: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@torch.no_grad()
def count_macs(network: nn.Module, width: int, height: int) -> int:
    """Multiply-accumulates of all convolutions for one (1, 3, height, width) input."""
    total = 0

    def add(module: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        total += module.weight.numel() * output.shape[-2] * output.shape[-1]

    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    hooks = [m.register_forward_hook(add) for m in convs]
    was_training = network.training
    weight = next(network.parameters())
    network.eval()(torch.zeros(1, 3, height, width, dtype=weight.dtype, device=weight.device))
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    return total
