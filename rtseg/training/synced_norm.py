"""Batch normalisation with the statistics of the batches of all processes."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class SyncedBatchNorm(nn.BatchNorm2d):
    """As `torch.nn.SyncBatchNorm`, which has no CPU form; all processes have equally large batches.

    Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167, over the union of the batches.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (the name it has in torch)
        if not self.training:
            return super().forward(input)
        x = input.float()
        mean = _over_all(x.mean((0, 2, 3)))
        centred = x - mean.view(1, -1, 1, 1)
        variance = _over_all(centred.square().mean((0, 2, 3)))
        self._remember(mean.detach(), variance.detach(), x.numel() // x.shape[1])
        scale = (variance + self.eps).rsqrt() * self.weight
        return (centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Running statistics, as BatchNorm2d keeps them: the variance unbiased."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        keep = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        pixels = count * dist.get_world_size()
        self.running_mean.lerp_(mean, keep)
        self.running_var.lerp_(variance * pixels / max(1, pixels - 1), keep)


class _Sum(torch.autograd.Function):
    """The sum over all processes. Each output depends on every input, so gradients add up too."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ARG004
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # noqa: ARG004
        total = grads[0].clone()
        dist.all_reduce(total)
        return total


def _over_all(values: Tensor) -> Tensor:
    """The mean over all processes; gradients flow back to each of them."""
    total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return total / dist.get_world_size()


def synced(network: nn.Module, device: torch.device) -> None:
    """Replace every BatchNorm2d of the network, in place, by one that is synchronised."""
    for name, module in network.named_children():
        if isinstance(module, nn.BatchNorm2d):
            setattr(network, name, _replacement(module, device))
        else:
            synced(module, device)


def _replacement(norm: nn.BatchNorm2d, device: torch.device) -> nn.Module:
    """The same parameters and buffers in a synchronised module."""
    if device.type == "cuda":
        module: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(norm)  # type: ignore[no-untyped-call]
        return module
    again = SyncedBatchNorm(norm.num_features, norm.eps, norm.momentum)
    again.__dict__.update(norm.__dict__)
    return again
