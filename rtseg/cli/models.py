"""`rtseg models`: what is shipped."""

from __future__ import annotations


def models() -> None:
    """List the shipped models."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from rtseg.model import DEFAULT, Model, list_models

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("model", style="bold")
    for name in ("classes", "trained at", "params", "GMACs", "mIoU %"):
        table.add_column(name, justify="right")
    table.add_column("on")
    contracts = [Model.load(name).contract for name in list_models()]
    for c in contracts:
        table.add_row(
            c.name,
            str(len(c.classes)),
            f"{c.trained_size[0]}x{c.trained_size[1]}",
            f"{c.parameters / 1e6:.2f} M",
            f"{c.gmacs:.2f}",
            f"{100 * c.measured.miou:.1f}" if c.measured else "–",
            f"{c.measured.data} {c.measured.split}" if c.measured else "–",
        )
    console = Console(highlight=False)
    console.print(table)
    for c in contracts:
        default = " (the default)" if c.name == DEFAULT else ""
        console.print(f"\n[bold]{c.name}[/]{default}: trained on {escape(c.training)}.")
        console.print(f"licence: {escape(c.licence)}")
