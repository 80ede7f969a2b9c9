"""Knowledge distillation: a student learns the answers of a larger trained network."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rtseg.classes import LabelSet
from rtseg.errors import RecipeError
from rtseg.training.recipe_parts import Teacher
from rtseg.training.weights import load_weights


def soft_cross_entropy(logits: Tensor, target: Tensor, temperature: float) -> Tensor:
    """T² · KL(softmax(target / T) ‖ softmax(logits / T)), the mean over pixels.

    logits, target: (N, C, h, w), the target brought to the size of the logits. Hinton et al. 2015,
    https://arxiv.org/abs/1503.02531, section 2; each pixel is a case.
    """
    size = logits.shape[-2:]
    if target.shape[-2:] != size:
        target = F.interpolate(target, size=size, mode="bilinear", align_corners=False)
    wanted = (target.float() / temperature).log_softmax(1)
    given = (logits.float() / temperature).log_softmax(1)
    divergence = F.kl_div(given, wanted, reduction="none", log_target=True).sum(1)
    return divergence.mean() * temperature**2


def load_teacher(teacher: Teacher, classes: LabelSet, device: torch.device) -> nn.Module:
    """The trained network, frozen. Raises ModelError, and RecipeError for other classes."""
    path = Path(teacher.weights)
    trained = load_weights(path)
    if trained.classes.names != classes.names:
        raise RecipeError(
            f"{path} has the classes {trained.classes.name} ({len(trained.classes)}); the data has "
            f"{classes.name} ({len(classes)})"
        )
    return trained.network.requires_grad_(False).to(device)
