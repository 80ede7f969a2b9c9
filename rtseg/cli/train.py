"""`rtseg train`: a recipe and data in, weights out."""

from __future__ import annotations

import time
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
        miou = f"val mIoU {100 * row['val_miou']:.2f}" if row["val_miou"] == row["val_miou"] else ""
        console.print(
            f"epoch {row['epoch']:4d}/{settings.epochs}  loss {row['loss']:.4f}  "
            f"lr {row['lr']:.2e}  {row['images_per_s']:.1f} images/s  "
            f"{eta(time.monotonic() - started, trainer.epoch - first, settings.epochs - first)} {miou}"
        )
    console.print(f"best val mIoU {100 * trainer.best:.2f}: {folder / 'best.safetensors'}")


def eta(seconds: float, done: int, total: int) -> str:
    """ "0:12:30 left", from the mean time of the epochs so far."""
    return f"{timedelta(seconds=round(seconds / done * (total - done)))} left"
