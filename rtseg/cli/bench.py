"""`rtseg bench`: what `rtseg run` will give on this machine, and where the time goes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from rtseg.cli import options, placing
from rtseg.cli.run import Job
from rtseg.errors import InputError

SCENARIOS = ("single-stream", "offline", "constant-stream")


def bench(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(help="A video, images, or synthetic:1280x720@30.")
    ] = "synthetic:1280x720@30",
    scenarios: Annotated[
        list[str] | None,
        typer.Option("--scenario", help=f"{', '.join(SCENARIOS)}; more than one; default all."),
    ] = None,
    frames: Annotated[int, typer.Option(min=2, help="Of a round.")] = 300,
    rounds: Annotated[int, typer.Option(min=1, help="Of each scenario, in turns.")] = 3,
    warm_up: Annotated[int, typer.Option(min=1, help="Frames before, not counted.")] = 30,
    rate: Annotated[
        float | None, typer.Option(help="Frames a second of constant-stream; default the source's.")
    ] = None,
    overlay: Annotated[
        bool, typer.Option("--overlay/--no-overlay", help="Paint and encode a video as well.")
    ] = True,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Data set: measure this engine's mIoU too.")
    ] = None,
    split: Annotated[str, typer.Option(help="Of the data set.")] = "test",
    model: options.Model = "dilanet-m",
    size: options.Size = None,
    backend: options.Backend = "auto",
    engine: options.EngineFile = None,
    precision: options.PrecisionName = "auto",
    decoder: placing.DecoderName = "auto",
    encoder: placing.EncoderName = "auto",
    streams: Annotated[
        int | None, typer.Option(min=1, help="Frames segmented at a time; default one a core.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write everything as JSON.")
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=A,B", help="Measure all combinations; of model, size, backend, precision."
        ),
    ] = None,
    png: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Plot of a sweep: accuracy over latency.")
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="A.json B.json", help="Measure nothing; compare two results."),
    ] = None,
    fail_below: Annotated[
        float | None, typer.Option(metavar="FPS", help="Exit code 1 if offline is slower.")
    ] = None,
    yes: options.Yes = False,
    no: options.No = False,
) -> None:
    """Measure rates, latencies and stages as a user gets them.

    single-stream: one frame at a time, latency.

    offline: as `rtseg run` does, throughput.

    constant-stream: frames arrive at a camera's rate; ages, misses and drops.
    """
    from rtseg.benchmark import comparison
    from rtseg.benchmark.document import rate as rate_of
    from rtseg.cli import bench_report, bench_sweep
    from rtseg.cli.bench_measure import measure

    if compare is not None:
        a, b = (comparison.load(path) for path in compare)
        bench_report.show_comparison(comparison.compare(a, b), comparison.differences(a, b))
        return
    chosen = _chosen(scenarios, fail_below)
    if (fail_below is not None or engine) and sweep:
        raise InputError("--sweep goes with neither --fail-below nor --engine; leave one out")
    if png and not (sweep and data):
        raise InputError("--png plots accuracy over latency; add --sweep KEY=A,B and --data DIR")
    if rate is not None and not 0.001 <= rate <= 1e6:
        raise InputError(f"a rate of {rate:g} frames a second; expected 0.001 to 1,000,000")
    if fail_below is not None and not 0 < fail_below < math.inf:
        raise InputError(f"--fail-below {fail_below:g}; expected a rate above 0")
    _check_outputs([p for p in (output, png) if p], yes=yes, no=no)
    job = Job(
        source=source, output=None, masks=None, jsonl=None, alpha=0.5, classes=None, legend=True,
        engine={
            **options.parse_engine(context, engine, model, size, backend),
            "precision": options.parse_precision(precision),
        },
        reading={"max_frames": frames},
        decoder=placing.parse_decoder(decoder),
        encoding={"encoder": placing.parse_encoder(encoder)},
        streams=streams, audio=False, overwrite=(True, False),
    )  # fmt: skip
    settings = {
        "frames": frames, "rounds": rounds, "warm_up": warm_up, "overlay": overlay, "rate": rate,
        "streams": streams, "decoder": decoder, "encoder": encoder,
    }  # fmt: skip
    if sweep:
        bench_sweep.run(job, chosen, settings, (data, split), bench_sweep.parse(sweep), output, png)
        return
    found = measure(job, chosen, settings, (data, split))
    bench_report.show(found)
    if output:
        bench_report.write(output, found)
    if fail_below is not None and rate_of(found, "offline") < fail_below:
        bench_report.too_slow(rate_of(found, "offline"), fail_below)
        raise typer.Exit(1)


def _check_outputs(paths: list[Path], *, yes: bool, no: bool) -> None:
    """Before minutes are spent on measuring. Raises InputError, OutputError."""
    for path in paths:
        if not path.resolve().parent.is_dir():
            raise InputError(f"{path.parent} is no folder; create it, or name another for {path}")
    options.may_overwrite(paths, yes=yes, no=no)


def _chosen(names: list[str] | None, fail_below: float | None) -> tuple[str, ...]:
    """In the order of `SCENARIOS`. Raises InputError."""
    unknown = sorted(set(names or ()) - set(SCENARIOS))
    if unknown:
        raise InputError(f"scenario {unknown[0]!r}; expected {', '.join(SCENARIOS)}")
    chosen = tuple(name for name in SCENARIOS if name in (names or SCENARIOS))
    if fail_below is not None and "offline" not in chosen:
        raise InputError("--fail-below is about offline; add --scenario offline")
    return chosen
