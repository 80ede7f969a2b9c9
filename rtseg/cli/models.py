"""`rtseg models`: what is shipped."""

from __future__ import annotations


def models() -> None:
    """List the shipped models."""
    from rich.console import Console
    from rich.table import Table

    from rtseg.model import DEFAULT, Model, list_models

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("model", style="bold")
    for name in ("classes", "trained at", "parameters", "GMACs", "mIoU"):
        table.add_column(name, justify="right")
    table.add_column("measured on")
    table.add_column("licence of the training data")
    for name in list_models():
        c = Model.load(name).contract
        measured = c.measured
        table.add_row(
            name + (" (default)" if name == DEFAULT else ""),
            str(len(c.classes)),
            f"{c.trained_size[0]}x{c.trained_size[1]}",
            f"{c.parameters / 1e6:.2f} M",
            f"{c.gmacs:.2f}",
            f"{100 * measured.miou:.1f}" if measured else "–",
            f"{measured.data} {measured.split}, {measured.engine}" if measured else "–",
            c.licence,
        )
    Console(highlight=False).print(table)
