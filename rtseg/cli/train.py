"""`rtseg train`: a recipe and data in, weights out."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from rtseg.cli import options
from rtseg.errors import EngineError


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe (.toml), or a shipped one's name.")],
    data: options.Data,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; default runs/<recipe>.", metavar="DIR")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override the recipe.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, …")] = "cpu",
) -> None:
    """Train a network from scratch (needs the extra: pip install "rtseg\\[train]")."""
    from rich.console import Console

    from rtseg.training.recipe import load_recipe

    settings = load_recipe(recipe, overrides or [])
    folder = out or Path("runs") / Path(recipe).stem
    try:
        from rtseg.training.train import Trainer
    except ImportError as exc:
        raise EngineError(f'training needs torch ({exc}); pip install "rtseg[train]"') from exc
    console = Console(highlight=False)
    trainer = Trainer(settings, data, folder, resume=resume, device=device)
    console.print(f"[bold]{settings.network}[/]  {len(trainer.images)} images  →  {folder}")
    started, first = time.monotonic(), trainer.epoch
    for row in trainer.train():
        done, total = trainer.epoch - first, settings.epochs - first
        left = round((time.monotonic() - started) / done * (total - done))
        console.print(epoch_line(row, settings.epochs) + f"  {timedelta(seconds=left)} left")
    console.print(f"best val mIoU {100 * trainer.best:.2f}: {folder / 'best.safetensors'}")


def epoch_line(row: Mapping[str, float], epochs: int) -> str:
    """A row of results.csv for people."""
    miou = row["val_miou"]
    return (
        f"epoch {row['epoch']:4d}/{epochs}  loss {row['loss']:.4f}  lr {row['lr']:.2e}  "
        f"{row['images_per_s']:.1f} images/s"
        + ("" if math.isnan(miou) else f"  val mIoU {100 * miou:.2f}")
    )
