"""Batch norm in deployment: folded into the convolution before it, or one multiply and add."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class ChannelAffine(nn.Module):
    """scale · x + shift for each channel of (N, C, H, W): a batch norm that has stopped learning.

    Its two factors are worked out in the precision of the batch norm and rounded once when the
    network is halved; halving mean and variance instead can overflow.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight.detach() * torch.rsqrt(norm.running_var + norm.eps)
        shift = norm.bias.detach() - norm.running_mean * scale
        self.register_buffer("scale", scale.view(-1, 1, 1))
        self.register_buffer("shift", shift.view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift


def fold_batch_norm(network: nn.Module) -> None:
    """Remove every batch norm of a network in eval mode, in place, without changing its function.

    One that follows a (transposed) convolution in an `nn.Sequential` is folded into it; any other
    becomes a `ChannelAffine`.
    """
    for child in network.children():
        fold_batch_norm(child)
    if isinstance(network, nn.Sequential):
        _fold_pairs(network)
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(network, name, ChannelAffine(child))


def _fold_pairs(layers: nn.Sequential) -> None:
    for i in range(len(layers) - 1):
        conv, norm = layers[i], layers[i + 1]
        if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
            transposed = isinstance(conv, nn.ConvTranspose2d)
            layers[i], layers[i + 1] = fuse_conv_bn_eval(conv, norm, transposed), nn.Identity()
