"""`rtseg export`: trained weights in, the model file out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtseg.cli import options
from rtseg.errors import EngineError
from rtseg.video.output import check_output


def export_command(
    weights: Annotated[Path, typer.Argument(help="Weights (.safetensors) of `rtseg train`.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Model file.")] = None,
    name: Annotated[str | None, typer.Option(help="Model name; default the network's.")] = None,
    training: Annotated[str, typer.Option(help="What it was trained on, and how.")] = "not stated",
    licence: Annotated[str, typer.Option(help="Licence of data and weights.")] = "not stated",
    yes: options.Yes = False,
    no: options.No = False,
) -> None:
    """Export weights as an FP16 ONNX file that carries its contract."""
    try:
        from rtseg.training.export import export
    except ImportError as exc:
        raise EngineError(f'export needs torch ({exc}); pip install "rtseg[train]"') from exc
    target = output or Path(f"{name or weights.stem}.onnx")
    overwrite = options.may_overwrite([target], yes=yes, no=no)
    check_output(target, inputs=[weights], overwrite=overwrite)
    contract = export(weights, target, name=name, training=training, licence=licence)
    print(
        f"wrote {target}: {contract.network}, {contract.parameters / 1e6:.2f} M parameters, "
        f"{contract.gmacs:.2f} GMACs at {contract.trained_size[0]}x{contract.trained_size[1]}"
    )
