"""The network as it is trained: with heads that score its inner features as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rtseg.errors import RecipeError
from rtseg.networks.layers import ConvNormAct, Sizes
from rtseg.training.recipe_parts import Auxiliary


class Learner(nn.Module):
    """A network and its auxiliary heads.

    (N, 3, H, W) images → the network's own logits, then those of each head at the size of the
    features it reads. Only `network` is kept after the training.
    """

    def __init__(self, network: nn.Module, heads: Sequence[Auxiliary], classes: int) -> None:
        super().__init__()
        self.network = network
        self._features: dict[str, Tensor] = {}
        self._paths = [head.at for head in heads]
        modules = [_module(network, path) for path in self._paths]
        for path, module in zip(self._paths, modules, strict=True):
            module.register_forward_hook(self._keeper(path))
        self.heads = nn.ModuleList(Head(width, classes) for width in self._widths())

    def forward(self, images: Tensor) -> list[Tensor]:
        logits: Tensor = self.network(images)
        pairs = zip(self.heads, self._paths, strict=True)
        return [logits, *(head(self._features[path]) for head, path in pairs)]

    def _keeper(self, path: str) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:  # noqa: ARG001
            self._features[path] = output

        return keep

    @torch.no_grad()
    def _widths(self) -> list[int]:
        """Channels that each head reads, from one forward pass in eval mode."""
        if not self._paths:
            return []
        sizes: Sizes = self.network.sizes  # type: ignore[assignment]
        width, height = sizes.nearest(128, 96)
        training = self.network.training
        self.network.eval()(torch.zeros(1, 3, height, width))
        self.network.train(training)
        for path, features in self._features.items():
            if not isinstance(features, Tensor) or features.ndim != 4:
                raise RecipeError(f"auxiliary: {path} does not give one (N, C, h, w) tensor")
        return [self._features[path].shape[1] for path in self._paths]


class Head(nn.Sequential):
    """3x3 convolution to a quarter of the channels, dropout, class scores (PSPNet's)."""

    def __init__(self, channels: int, classes: int) -> None:
        width = max(32, channels // 4)
        super().__init__(
            ConvNormAct(channels, width), nn.Dropout2d(0.1), nn.Conv2d(width, classes, 1)
        )


def _module(network: nn.Module, path: str) -> nn.Module:
    try:
        return network.get_submodule(path)
    except AttributeError as exc:
        known = ", ".join(name for name, _ in network.named_children())
        raise RecipeError(
            f"auxiliary: the network has no module {path!r}; its parts are {known}"
        ) from exc
