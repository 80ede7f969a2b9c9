"""What a network costs and sees: parameters, multiply-accumulates, receptive field."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rtseg.networks.layers import Sizes
from rtseg.networks.upsampling import MaxPool

WIDEST = 4096
"""Receptive fields above this many pixels are not measured."""


def count_parameters(network: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@torch.no_grad()
def count_macs(network: nn.Module, width: int, height: int) -> int:
    """Multiply-accumulates of all convolutions for one (1, 3, height, width) input."""
    total = 0

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        # A transposed convolution applies its weights once to each input pixel.
        pixels = inputs[0] if isinstance(module, nn.ConvTranspose2d) else output
        total += module.weight.numel() * pixels.shape[-2] * pixels.shape[-1]

    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    hooks = [m.register_forward_hook(add) for m in convs]
    weight = next(network.parameters())
    with _evaluating(network):
        network(torch.zeros(1, 3, height, width, dtype=weight.dtype, device=weight.device))
    for hook in hooks:
        hook.remove()
    return total


def receptive_field(network: nn.Module, sizes: Sizes) -> int | None:
    """Width in pixels of the input that one logit depends on; None: the whole image, or more than
    `WIDEST`. sizes: those the network takes. It may be on the meta device.

    Measured, not added up by hand: with all weights positive, no contribution cancels, so the
    gradient of the middle logit is non-zero just where the input counts. The lowest strip the
    network takes is enough, as none treats rows and columns differently, and one channel stands
    for all. float64, as the rim of a deep field has very small gradients.
    """
    thin = nn.Sequential(copy.deepcopy(network)).eval()
    _make_thin(thin)
    width = 256
    while width <= 2 * WIDEST:
        columns = _influence(thin, *sizes.nearest(width, 0))
        if not (columns[0] or columns[-1]):
            found = columns.nonzero()
            return int(found.max() - found.min()) + 1
        width *= 2
    return None


def _influence(network: nn.Module, width: int, height: int) -> Tensor:
    """(width,) bool: the columns that the middle logit depends on."""
    image = torch.ones(1, 3, height, width, dtype=torch.float64, requires_grad=True)
    logits = network(image)
    middle = logits[0, :, logits.shape[-2] // 2, logits.shape[-1] // 2].sum()
    (gradient,) = torch.autograd.grad(middle, image)
    return gradient.abs().sum((0, 1, 2)) > 0


def _make_thin(network: nn.Module) -> None:
    """One channel, positive weights, no batch norm or activation, means for maxima; in place."""
    for name, child in network.named_children():
        if isinstance(child, nn.Conv2d | nn.ConvTranspose2d):
            setattr(network, name, _Thin(child))
        elif isinstance(child, nn.BatchNorm2d | nn.PReLU | nn.ReLU):
            setattr(network, name, nn.Identity())
        elif isinstance(child, nn.MaxPool2d):
            kernel, stride, padding = child.kernel_size, child.stride, child.padding
            setattr(network, name, nn.AvgPool2d(kernel, stride, padding, child.ceil_mode))
        elif isinstance(child, MaxPool):
            setattr(network, name, _AveragePool())
        else:
            _make_thin(child)


class _Thin(nn.Module):
    """A convolution of the channels' mean, the same for every output channel."""

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        same: Any = {  # shapes only
            "kernel_size": conv.kernel_size, "stride": conv.stride, "padding": conv.padding,
            "dilation": conv.dilation, "bias": False,
        }  # fmt: skip
        if isinstance(conv, nn.ConvTranspose2d):
            same["output_padding"] = conv.output_padding
        kind = nn.ConvTranspose2d if "output_padding" in same else nn.Conv2d
        self.conv = kind(1, 1, **same).double()
        nn.init.constant_(self.conv.weight, 0.1)
        self.channels = conv.out_channels

    def forward(self, x: Tensor, _where: Tensor | None = None) -> Tensor:
        y: Tensor = self.conv(x.mean(1, keepdim=True))
        return y.expand(-1, self.channels, -1, -1)


class _AveragePool(nn.Module):
    """`MaxPool` in the mean: every pixel of a cell counts, and each gets its value back."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return F.avg_pool2d(x, 2), torch.ones_like(x)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)
