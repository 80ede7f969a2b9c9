"""What `rtseg bench` prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rtseg.benchmark.comparison import Row
from rtseg.benchmark.document import medians
from rtseg.benchmark.rounds import AGE, END_TO_END
from rtseg.cli.report import STAGES
from rtseg.files import write_atomically

ORDER = (*STAGES, END_TO_END, AGE)
PERCENTILES = {
    "min": "min", "mean": "mean", "median": "p50", "p90": "p90", "p95": "p95", "p99": "p99",
    "p999": "p99.9",
}  # fmt: skip


def show(found: Mapping[str, Any]) -> None:
    """The document for people."""
    console = Console(highlight=False)
    for line in _heading(found):
        console.print(line, soft_wrap=True)
    for note in found["engine"]["notes"]:
        console.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    for name, middle in medians(found):
        scenario = found["scenarios"][name]
        rates = [r["fps"] for r in scenario["rounds"]]
        workers = f"{scenario['streams']} at a time"
        on_gpu = bool(found["memory"]["device_bytes"])
        figure = _rate(name, middle, rates, on_gpu=on_gpu)
        console.print(f"\n[bold]{name}[/], {workers}  {figure}", soft_wrap=True)
        console.print(_table(middle["stages_ms"], on_gpu=on_gpu))
    console.print("\n" + _network(found["network"]), soft_wrap=True)
    console.print(_memory(found["memory"]))
    for gpu, after in zip(found["gpus"]["before"], found["gpus"]["after"], strict=False):
        console.print(_gpu(gpu, after))
    accuracy = found["accuracy"]
    if accuracy:
        console.print(_accuracy(accuracy), soft_wrap=True)


def show_comparison(rows: Sequence[Row], differences: Sequence[str]) -> None:
    """A line for each figure that both have; and what was not the same."""
    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("scenario", "figure"):
        table.add_column(name)
    for name in ("a", "b", "b / a"):
        table.add_column(name, justify="right")
    table.add_column("b is", no_wrap=True)
    for row in rows:
        colour = {"better": "green", "worse": "red"}.get(row.verdict, "default")
        unit = "fps" if row.figure == "fps" else f"{row.figure}, ms"
        values = f"{row.a:.2f}", f"{row.b:.2f}", f"{row.ratio:.3f}"
        table.add_row(row.scenario, unit, *values, f"[{colour}]{row.verdict}[/]")
    console.print(table)
    for line in differences:
        console.print(f"[yellow]not the same:[/] {escape(line)}", soft_wrap=True)


def store(path: Path, document: Mapping[str, Any]) -> None:
    """The document as JSON, in one piece. Raises OutputError."""
    write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Store it, and say so."""
    store(path, document)
    Console(highlight=False).print(f"wrote [bold]{escape(str(path))}[/]", soft_wrap=True)


def too_slow(rate: float, least: float) -> None:
    Console(highlight=False).print(f"[red]offline: {rate:.1f} fps, below {least:g}[/]")


def _heading(found: Mapping[str, Any]) -> list[str]:
    engine, source, start = found["engine"], found["source"], found["start"]
    settings, cores = found["settings"], found["machine"]["cores"]
    size = "x".join(map(str, engine["input"]))
    end = "overlay, video" if settings["overlay"] else "labels"
    where = f"{engine['model']} {size}  ·  {engine['backend']} {engine['precision']}  →  {end}"
    turns = f"{settings['rounds']} rounds of up to {settings['frames']} frames in turns"
    first = f"first frame {start['first_frame_ms']:.1f} ms (not counted below)"
    return [
        f"[bold]{escape(source['name'])}[/]  {source['width']}x{source['height']}  →  {where}",
        f"{found['machine']['cpu']}, {cores} cores; {turns}",
        f"engine ready after {start['engine_s']:.2f} s, {first}",
    ]


def _rate(name: str, middle: Mapping[str, Any], rates: Sequence[float], *, on_gpu: bool) -> str:
    """The figure that the scenario is about, with its range over the rounds; on a GPU the cores
    are no bound."""
    text = f"{middle['fps']:.1f} fps ({min(rates):.1f}–{max(rates):.1f})"
    if name == "offline" and not on_gpu:
        share = middle["fps"] / middle["bound_fps"]
        text += f", {100 * share:.0f} % of the {middle['bound_fps']:.1f} fps that the cores allow"
    else:
        text += f", cores {100 * middle['cpu_utilisation']:.0f} % busy"
    if name == "constant-stream":
        text += f"; of {middle['frames']} frames {middle['dropped']} dropped, {middle['late']} late"
    return text


def _table(stages: Mapping[str, Mapping[str, float | None]], *, on_gpu: bool) -> Table:
    """Milliseconds, a line for each stage."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("stage, ms" + (" (GPU events)" if on_gpu else ""))
    shown = [k for k in PERCENTILES if any(row[k] is not None for row in stages.values())]
    for key in shown:
        table.add_column(PERCENTILES[key], justify="right")
    for name in sorted(stages, key=lambda n: ORDER.index(n) if n in ORDER else len(ORDER)):
        row = stages[name]
        table.add_row(name, *("" if row[k] is None else f"{row[k]:.2f}" for k in shown))
    return table


def _network(network: Mapping[str, Any]) -> str:
    """The roofline in a line."""
    if "left_out" in network:
        return escape(f"network: {network['left_out']}")
    share = network["share_of_roofline"]
    reached = "" if share is None else f", [bold]{100 * share:.0f} % of the roofline[/] reached"
    return (
        f"network: {network['gflops']:.2f} GFLOP and {network['mbytes']:.1f} MB; at this device's "
        f"{network['matrix_gflops_s']:,.0f} GFLOP/s and {network['copy_gbytes_s']:,.0f} GB/s at "
        f"least {network['bound_ms']:.2f} ms{reached}"
    )


def _accuracy(accuracy: Mapping[str, Any]) -> str:
    text = (
        f"this engine on {accuracy['data']} {accuracy['split']}: [bold]mIoU "
        f"{100 * accuracy['miou']:.2f} %[/], {accuracy['images']} images"
    )
    if accuracy["trained_on_split"]:
        text += "; [bold red]the model was trained on them[/]"
    return text


def _memory(memory: Mapping[str, int]) -> str:
    text = f"peak memory {memory['peak_host_bytes'] / 2**20:.0f} MiB"
    if memory["device_bytes"]:
        text += (
            f"; for frames on the GPU {memory['device_bytes'] / 2**20:.0f} MiB, "
            f"pinned {memory['pinned_bytes'] / 2**20:.0f} MiB"
        )
    return text


def _gpu(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    def pair(key: str) -> str:
        return f"{before[key]} → {after[key]}"

    return (
        f"{after['name']}: {pair('sm_mhz')} MHz, {pair('power_w')} W, {pair('celsius')} °C, "
        f"clocks held down by {after['held_down_by']:#x}"
        if after["held_down_by"] is not None
        else f"{after['name']}: {pair('sm_mhz')} MHz, {pair('power_w')} W, {pair('celsius')} °C"
    )
