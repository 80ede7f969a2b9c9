"""`rtseg train`: a recipe and data in, weights out."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtseg.cli import options
from rtseg.errors import EngineError

if TYPE_CHECKING:
    from rich.console import Console

    from rtseg.training.board import Board
    from rtseg.training.train import Trainer


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
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write event files for TensorBoard too.")
    ] = False,
) -> None:
    """Train a network from scratch (needs the extra: pip install "rtseg\\[train]").

    On several GPUs: torchrun --nproc-per-node N -m rtseg.training RECIPE --data DIR --device cuda
    """
    from rich.console import Console

    from rtseg.training.recipe_files import load_recipe

    settings = load_recipe(recipe, overrides or [])
    folder = out or Path("runs") / Path(recipe).stem
    try:
        from rtseg.training.board import Board
        from rtseg.training.train import Trainer
        from rtseg.training.world import world
    except ImportError as exc:
        raise EngineError(f'training needs torch ({exc}); pip install "rtseg[train]"') from exc
    with world(device) as processes:
        trainer = Trainer(settings, data, folder, resume=resume, world=processes)
        board = Board(folder / "tensorboard") if tensorboard and processes.leads else None
        console = Console(highlight=False, quiet=not processes.leads)
        _run(trainer, console, board)


def _run(trainer: Trainer, console: Console, board: Board | None) -> None:
    """Train, and print a line for each epoch."""
    folder = trainer.folder.path
    console.print(
        f"[bold]{trainer.recipe.network}[/]  {len(trainer.source.names)} images "
        f"({trainer.source.where})  →  {folder}",
        soft_wrap=True,
    )
    started, first = time.monotonic(), trainer.epoch
    for row in trainer.train():
        done, total = trainer.epoch - first, trainer.epochs - first
        left = round((time.monotonic() - started) / done * (total - done))
        line = epoch_line(row, trainer.epochs) + f"  {timedelta(seconds=left)} left"
        console.print(line, soft_wrap=True)
        if board is not None:
            board.add(row)
    if trainer.best:
        best = folder / "best.safetensors"
        console.print(f"best val mIoU {100 * trainer.best:.2f}: {best}", soft_wrap=True)
    console.print(f"weights of the end: {folder / 'final.safetensors'}", soft_wrap=True)
    if not console.quiet:
        _draw(trainer, console)


def _draw(trainer: Trainer, console: Console) -> None:
    """The pictures of the run. The weights are safe by now: without matplotlib, say so and end."""
    from rtseg.training.drawing import draw_curves, draw_validation

    try:
        draw_curves(trainer.folder, trainer.recipe.network)
        if trainer.validator is not None and trainer.matrix is not None:
            weights = trainer.ema.values
            draw_validation(trainer.folder, trainer.validator, trainer.matrix, weights)
    except EngineError as exc:
        console.print(f"no pictures: {exc}", soft_wrap=True)
        return
    console.print(f"pictures: {trainer.folder.path}/*.png", soft_wrap=True)


def epoch_line(row: Mapping[str, float], epochs: int) -> str:
    """A row of results.csv for people."""
    miou = row["val_miou"]
    return (
        f"epoch {row['epoch']:4d}/{epochs}  loss {row['loss']:.4f}  lr {row['lr']:.2e}  "
        f"{row['images_per_s']:.1f} images/s  waiting {100 * row['waiting']:.0f} %"
        + ("" if math.isnan(miou) else f"  val mIoU {100 * miou:.2f}")
    )
