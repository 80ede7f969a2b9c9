"""The optimiser of a recipe, and its learning rate over the run."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from rtseg.training.recipe import Recipe


def learning_rate(recipe: Recipe, iteration: int, total: int) -> float:
    """Linear warm-up, then the schedule over what is left of `total` iterations.

    poly: base · (1 - t)^power (Chen et al. 2017, https://arxiv.org/abs/1606.00915); cosine:
    base · (1 + cos πt) / 2 (Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983).
    """
    base = recipe.learning_rate
    if iteration < recipe.warmup:
        return base * (iteration + 1) / recipe.warmup
    left = 1 - min(1.0, (iteration - recipe.warmup) / max(1, total - recipe.warmup))
    if recipe.schedule == "poly":
        return float(base * left**recipe.power)
    return base * (1 - math.cos(math.pi * left)) / 2 if recipe.schedule == "cosine" else base


def optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """No weight decay on biases and batch norm (He et al. 2019, arXiv 1812.01187)."""
    decay = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": decay}, {"params": plain, "weight_decay": 0.0}]
    rate, weight_decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, rate, momentum=recipe.momentum, weight_decay=weight_decay)
    betas = (recipe.momentum, recipe.beta2)
    fused = all(p.is_cuda for p in network.parameters())
    return torch.optim.AdamW(groups, rate, betas=betas, weight_decay=weight_decay, fused=fused)


def restore(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Take over the moments of a checkpoint; the settings stay those of the recipe."""
    settings = [{k: v for k, v in g.items() if k != "params"} for g in optimiser.param_groups]
    optimiser.load_state_dict(state)
    for group, values in zip(optimiser.param_groups, settings, strict=True):
        group.update(values)


def gradient_scaler(recipe: Recipe, device: torch.device) -> torch.amp.GradScaler:
    """Keeps gradients of half precision from vanishing; does nothing unless amp is fp16.

    Micikevicius et al. 2018, https://arxiv.org/abs/1710.03740.
    """
    return torch.amp.GradScaler(device.type, enabled=recipe.amp == "fp16")
