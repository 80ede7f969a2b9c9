"""What a network costs and sees: parameters, multiply-accumulates, receptive field."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

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
    `WIDEST`. sizes: those the network takes.

    Measured, not added up by hand: with all weights positive, no contribution cancels, so the
    gradient of the middle logit is non-zero just where the input counts. The lowest strip the
    network takes is enough, as none treats rows and columns differently. float64, as the rim of a
    deep field has very small gradients.
    """
    linear = _positive(copy.deepcopy(network).cpu().double().eval())
    width = 256
    while width <= 2 * WIDEST:
        columns = _influence(linear, *sizes.nearest(width, 0))
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


def _positive(network: nn.Module) -> nn.Module:
    """Positive weights, batch norm as identity, the mean in place of the maximum; in place."""
    for name, child in network.named_children():
        if isinstance(child, nn.MaxPool2d):
            kernel, stride, padding = child.kernel_size, child.stride, child.padding
            setattr(network, name, nn.AvgPool2d(kernel, stride, padding, child.ceil_mode))
        elif isinstance(child, MaxPool):
            setattr(network, name, _AveragePool())
        else:
            _positive(child)
    if isinstance(network, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.constant_(network.weight, 1 / network.weight[0].numel())
        if network.bias is not None:
            nn.init.zeros_(network.bias)
    elif isinstance(network, nn.BatchNorm2d):
        network.reset_running_stats()
        nn.init.ones_(network.weight)
        nn.init.zeros_(network.bias)
    return network


class _AveragePool(nn.Module):
    """`MaxPool` in the mean: every pixel of a cell counts, and each gets its value back."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return nn.functional.avg_pool2d(x, 2), torch.ones_like(x)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)
