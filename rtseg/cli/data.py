"""`rtseg data`: the commands on data sets."""

from __future__ import annotations

import typer

from rtseg.cli import data_check, data_show, data_weights

data_app = typer.Typer(help="Look at and check data sets.", no_args_is_help=True)
data_app.command("check")(data_check.check)
data_app.command("show")(data_show.show)
data_app.command("weights")(data_weights.weights)
