"""The command line. Each command is one file; what it needs is imported when it runs."""

from __future__ import annotations

import os
import sys

import typer

from rtseg.cli import bench, data, demo, doctor, evaluate, export, models, networks, run, train
from rtseg.cli import compile as compile_  # as the builtin is called
from rtseg.errors import RtsegError

app = typer.Typer(
    name="rtseg",
    help="Real-time semantic segmentation of driving video.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from rtseg import __version__

        typer.echo(f"rtseg {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Real-time semantic segmentation of driving video."""


app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("bench")(bench.bench)
app.command("models")(models.models)
app.command("doctor")(doctor.doctor)
app.command("eval")(evaluate.evaluate_command)
app.command("train")(train.train)
app.command("compile")(compile_.compile_command)
app.command("export")(export.export_command)
app.command("networks")(networks.networks)
app.add_typer(data.data_app, name="data")


def main() -> None:
    """Entry point: errors become one sentence and an exit code (1 failed, 2 bad input).

    RTSEG_TRACEBACK=1 shows where an error comes from that rtseg did not foresee.
    """
    try:
        app()
    except RtsegError as exc:
        print(f"rtseg: error: {exc}", file=sys.stderr)
        sys.exit(exc.exit_code)
    except ImportError as exc:
        print(f"rtseg: error: a library cannot be loaded: {exc}", file=sys.stderr)
        sys.exit(1)
    except Exception as exc:
        if os.environ.get("RTSEG_TRACEBACK"):
            raise
        print(
            f"rtseg: internal error: {type(exc).__name__}: {exc}; this is a bug in rtseg: please "
            "report it with what RTSEG_TRACEBACK=1 shows",
            file=sys.stderr,
        )
        sys.exit(1)
