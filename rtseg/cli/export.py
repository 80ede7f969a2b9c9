"""`rtseg export`: trained weights in, the model file out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtseg.cli import options
from rtseg.errors import EngineError, ModelError
from rtseg.video.output import check_output

if TYPE_CHECKING:
    import onnx

    from rtseg.backends.operators import Problem


def export_command(
    weights: Annotated[Path, typer.Argument(help="Weights (.safetensors) of `rtseg train`.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Model file.")] = None,
    name: Annotated[str | None, typer.Option(help="Model name; default the network's.")] = None,
    training: Annotated[str, typer.Option(help="What it was trained on, and how.")] = "not stated",
    trained_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATA",
            help='A data set and split it has seen, such as "CamVid train"; once for each. '
            "Default what the weights or their run folder say.",
        ),
    ] = None,
    pretraining: Annotated[
        str | None, typer.Option(help="What the weights started from, or none; default as above.")
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of data and weights.")] = "not stated",
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Write nothing; say which operators TensorRT would refuse. Takes .onnx too.",
        ),
    ] = False,
    yes: options.Yes = False,
    no: options.No = False,
) -> None:
    """Export weights as an FP16 ONNX file that carries its contract."""
    if check:
        raise typer.Exit(_check(weights))
    try:
        from rtseg.training.export import export
        from rtseg.training.provenance import Provenance, read_provenance
    except ImportError as exc:
        raise EngineError(f'export needs torch ({exc}); pip install "rtseg[train]"') from exc
    target = output or Path(f"{name or weights.stem}.onnx")
    overwrite = options.may_overwrite([target], yes=yes, no=no)
    check_output(target, inputs=[weights], overwrite=overwrite)
    stated = read_provenance(weights)
    seen = Provenance(tuple(trained_on or stated.trained_on), pretraining or stated.pretraining)
    contract = export(
        weights, target, name=name, training=training, licence=licence, provenance=seen
    )
    print(
        f"wrote {target}: {contract.network}, {contract.parameters / 1e6:.2f} M parameters, "
        f"{contract.gmacs:.2f} GMACs at {contract.trained_size[0]}x{contract.trained_size[1]}"
    )


def _check(source: Path) -> int:
    """Print the operators of a graph and what TensorRT would refuse; the exit code."""
    from rtseg.backends.operators import check_operators

    graph = _graph(source)
    problems = check_operators(graph)
    _print_operators(graph, problems)
    for problem in problems:
        print(f"{problem.operator} {problem.node}: {problem.reason}")
    verdict = f"{len(problems)} problems" if problems else "TensorRT's parser takes every operator"
    print(f"{source}: {verdict}")
    return 1 if problems else 0


def _graph(source: Path) -> onnx.ModelProto:
    if source.suffix != ".onnx":
        try:
            from rtseg.training.export import export_graph
        except ImportError as exc:
            raise EngineError(
                f'exporting needs torch ({exc}); pip install "rtseg[train]", or check an .onnx file'
            ) from exc
        return export_graph(source)
    import onnx

    try:
        return onnx.load(source, load_external_data=False)
    except Exception as exc:  # protobuf's own error types differ between its versions
        raise ModelError(f"{source} is not an ONNX model: {exc}") from exc


def _print_operators(graph: onnx.ModelProto, problems: list[Problem]) -> None:
    from collections import Counter

    from rich.console import Console
    from rich.table import Table

    refused = Counter(problem.operator for problem in problems)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("operator", style="bold")
    table.add_column("nodes", justify="right")
    table.add_column("TensorRT")
    for operator, count in sorted(Counter(n.op_type for n in graph.graph.node).items()):
        said = f"[red]refused {refused[operator]}[/]" if refused[operator] else "ok"
        table.add_row(operator, str(count), said)
    Console(highlight=False).print(table)
