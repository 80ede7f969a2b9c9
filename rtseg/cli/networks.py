"""`rtseg networks`: the registry as a table, and how fast each one is here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtseg.cli import options
from rtseg.errors import EngineError

if TYPE_CHECKING:
    from rich.console import Console

    from rtseg.backends import Precision
    from rtseg.networks import NetworkEntry
    from rtseg.training.survey import Facts


def networks(
    names: Annotated[list[str] | None, typer.Argument(help="Only these; default all.")] = None,
    size: Annotated[str, typer.Option(metavar="WxH", help="Input size.")] = "480x360",
    classes: Annotated[int, typer.Option(min=2, max=254, help="Number of classes.")] = 11,
    bench: Annotated[bool, typer.Option("--bench", help="Time each one on this machine.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Timed calls of each, in turns.")] = 15,
    precision: options.PrecisionName = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare all networks: parameters, GMACs, output stride, receptive field, latency.

    A size that a network does not take is replaced by the nearest one it does, which is shown.
    Latency (--bench) is the median of the exported FP16 file with random weights: the network
    alone, all cores, called in turns with dilanet-m, whose median the ratio refers to.
    """
    try:
        from rtseg.networks import NETWORKS, entry
        from rtseg.training.survey import facts
    except ImportError as exc:
        raise EngineError(f'networks need torch ({exc}); pip install "rtseg[train]"') from exc
    from rich.console import Console
    from rich.progress import track

    wanted, chosen = options.parse_size(size), options.parse_precision(precision)
    assert wanted is not None
    rows = [entry(name) for name in names or []] or list(NETWORKS)
    told = Console(stderr=True, highlight=False)
    table = [
        facts(row, wanted, classes) for row in track(rows, "counting", console=told, transient=True)
    ]
    times = _bench(rows, wanted, chosen, rounds, told) if bench else {}
    if as_json:
        print(json.dumps([_record(row, times) for row in table], indent=2))
    else:
        _print(table, times, wanted)


def _bench(
    rows: list[NetworkEntry],
    size: tuple[int, int],
    precision: Precision,
    rounds: int,
    told: Console,
) -> dict[str, dict[str, float]]:
    from rich.progress import track

    from rtseg.backends.openvino import best_precision
    from rtseg.training.survey import Bench

    names = [row.name for row in rows if not row.undeployable]
    chosen = best_precision() if precision == "auto" else precision
    with told.status("exporting the reference"):
        bench = Bench(size, chosen, rounds)
    steps = track(names, f"exporting, compiling, timing ({chosen})", console=told, transient=True)
    return {name: bench.latency(name) for name in steps}


def _record(row: Facts, times: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    record: dict[str, Any] = {
        "name": row.name,
        "size": list(row.size),
        "parameters": row.parameters,
        "gmacs": round(row.gmacs, 4),
        "output_stride": row.output_stride,
        "receptive_field": row.receptive_field,
        "undeployable": row.undeployable or None,
    }
    if row.name in times:
        record |= times[row.name]
    return record


def _print(
    rows: list[Facts], times: Mapping[str, Mapping[str, float]], size: tuple[int, int]
) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("network", style="bold")
    columns = ["params", "input", "GMACs", "stride", "field"]
    for name in columns + (["ms", "to dilanet-m"] if times else []):
        table.add_column(name, justify="right")
    table.add_column("deployable")
    for row in rows:
        table.add_row(*_cells(row, times, size))
    console = Console(highlight=False)
    console.print(table)
    console.print()
    for row in rows:
        if row.undeployable:
            console.print(f"{row.name} cannot be deployed: {row.undeployable}.")
    console.print(
        "stride: input over logits. field: receptive field in pixels across.", style="dim"
    )


def _cells(
    row: Facts, times: Mapping[str, Mapping[str, float]], size: tuple[int, int]
) -> list[str]:
    other = "" if row.size == size else "[yellow]"
    cells = [
        row.name,
        f"{row.parameters / 1e6:.2f} M",
        f"{other}{row.size[0]}x{row.size[1]}",
        f"{row.gmacs:.2f}",
        str(row.output_stride),
        "all" if row.receptive_field is None else str(row.receptive_field),
    ]
    if row.name in times:
        cells += [f"{times[row.name]['median_ms']:.1f}", f"{times[row.name]['ratio']:.2f}x"]
    elif times:
        cells += ["–", "–"]
    return [*cells, "no" if row.undeployable else "yes"]
