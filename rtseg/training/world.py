"""The processes of a run: one, or several that `torchrun` has started.

torchrun sets RANK, WORLD_SIZE, LOCAL_RANK and the address at which the processes meet
(https://docs.pytorch.org/docs/stable/elastic/run.html).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from rtseg.errors import RecipeError
from rtseg.training.synced_norm import synced


@dataclass(frozen=True, slots=True)
class World:
    """This process among all. rank: 0 … size-1; the one of rank 0 writes and prints."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, indices: list[int]) -> list[int]:
        """This process's part of a list."""
        return indices[self.rank :: self.size]

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.size > 1:
            values = values.to(self.device)
            dist.all_reduce(values)
        return values.cpu()

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network with gradients averaged and batch statistics shared among processes."""
        if self.size == 1:
            return network
        synced(network, self.device)
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=ids)


@contextmanager
def world(device: str) -> Iterator[World]:
    """The processes of this run, connected until the block ends.

    device: "cpu", "cuda", …; with several processes on GPUs, each takes that of its local rank.
    Raises RecipeError for a device that does not exist here.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(find_device(device))
        return
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    found = find_device(f"cuda:{local}" if device == "cuda" else device)
    options: dict[str, Any] = {}
    if found.type == "cuda":
        torch.cuda.set_device(found)
        options["device_id"] = found
    dist.init_process_group("nccl" if found.type == "cuda" else "gloo", **options)
    processes = World(found, rank, size)
    try:
        yield processes
        # A process that left at once would destroy the group while its threads still work off the
        # last collective, and these need the interpreter's lock, which it holds while it waits.
        processes.wait()
    finally:
        dist.destroy_process_group()


def find_device(name: str) -> torch.device:
    """Raises RecipeError for a device that does not exist here."""
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as exc:
        reason = str(exc).splitlines()[0]
        raise RecipeError(f"device {name!r}: {reason}; expected cpu or cuda") from exc
