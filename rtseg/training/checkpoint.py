"""Checkpoints, which `--resume` needs, and the running average of the weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rtseg.errors import RecipeError

KEYS = frozenset(
    ("network", "classes", "kind", "weights", "heads", "optimiser", "scaler", "ema", "updates",
     "epoch", "best")
)  # fmt: skip
"""What a checkpoint holds."""


class Ema:
    """Exponential moving average of all parameters and buffers of a network.

    The decay warms up as (1 + n) / (10 + n), so that early averages follow the network.
    Polyak & Juditsky 1992, https://doi.org/10.1137/0330046.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.values = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        self.updates += 1
        keep = min(self.decay, (1 + self.updates) / (10 + self.updates))
        state = network.state_dict()
        floating = [name for name, value in state.items() if value.is_floating_point()]
        # All at once: one by one, a GPU takes longer to start the work than to do it.
        averages, values = ([d[name] for name in floating] for d in (self.values, state))
        torch._foreach_lerp_(averages, values, 1 - keep)
        for name in state.keys() - floating:
            self.values[name].copy_(state[name])


def save(path: Path, state: dict[str, Any]) -> None:
    """Write beside the target, flush to the disk, then rename: a kill leaves the old file."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load(path: Path, network: str) -> dict[str, Any]:
    """Read a checkpoint of `network`; tensors and plain values only, no code is run.

    Raises RecipeError for a file that is damaged, or a checkpoint of something else.
    """
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as exc:
        raise RecipeError(f"no checkpoint {path}; --resume goes on from one") from exc
    except Exception as exc:  # a damaged archive raises whatever its reader meets first
        reason = " ".join(str(exc).split())[:200]
        raise RecipeError(f"cannot read the checkpoint {path}: {reason}") from exc
    missing = KEYS - state.keys() if isinstance(state, dict) else KEYS
    if missing:
        raise RecipeError(
            f"{path} is no checkpoint of rtseg: no {', '.join(sorted(missing))} in it"
        )
    if state["network"] != network:
        raise RecipeError(f"{path} is a checkpoint of {state['network']!r}; expected {network!r}")
    return dict(state)
