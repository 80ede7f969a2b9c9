"""`rtseg eval`: accuracy of a deployed model or of trained weights on labelled data."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from rtseg.backends import Precision
from rtseg.cli import options
from rtseg.cli.evaluate_models import Candidate, Deployed, Weights, open_candidate
from rtseg.cli.evaluate_output import Findings, Outputs, check_record, write
from rtseg.cli.evaluate_output import record as record_result
from rtseg.cli.evaluate_task import task_of
from rtseg.errors import InputError


def evaluate_command(
    model: Annotated[
        str,
        typer.Argument(
            help="A shipped model's name, an .onnx file, .safetensors, last.pt or a run's folder."
        ),
    ],
    data: options.Data,
    dataset: options.Dataset = None,
    split: Annotated[str, typer.Option(help="A split, or a part: val::5.")] = "test",
    size: options.Size = None,
    backend: options.Backend = "auto",
    precision: options.PrecisionName = "auto",
    device: Annotated[
        str | None, typer.Option(help="Of weights in torch: cpu, cuda, …; default cpu.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="OTHER", help="Compare with this model, file or run, image by image."),
    ] = None,
    against_backend: Annotated[
        str, typer.Option(help="Engine of OTHER; OTHER is MODEL itself if it is not named.")
    ] = "auto",
    against_precision: Annotated[
        str, typer.Option(help="Precision of OTHER, as --against-backend.")
    ] = "auto",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all figures as JSON.")
    ] = None,
    png: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the confusion matrix.")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw images, labels and predictions, the worst first."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=60, help="Images on the sheet.")] = 12,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Draw the sheet's images by chance; seed of the interval too."),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write the result into the model file's contract.")
    ] = False,
    yes: options.Yes = False,
    no: options.No = False,
) -> None:
    """Measure accuracy on labelled data: mIoU, accuracy, boundary F-score.

    A model file is measured as `rtseg run` would run it: the same engine, the same kernels, at the
    labels' own resolution. Weights of a training are measured in torch.
    """
    from rtseg.training.datasets import open_split

    samples, wanted = open_split(data, split, dataset), options.parse_size(size)
    outputs = Outputs(json_file, png, sheet)
    chosen = [Choice(model, backend, options.parse_precision(precision))]
    if against is not None or (against_backend, against_precision) != ("auto", "auto"):
        engine = against_backend, options.parse_precision(against_precision)
        chosen.append(Choice(against or model, *engine))
    with ExitStack() as stack:
        candidates: list[Candidate] = []
        for choice in chosen:
            candidates.append(choice.open(wanted, device or "cpu"))
            stack.callback(candidates[-1].close)
        if device is not None and not any(isinstance(c, Weights) for c in candidates):
            raise InputError(f"--device is for weights in torch; {model} runs in an engine")
        outputs.check([*(c.path for c in candidates), *data.glob("*/*")], yes=yes, no=no)
        task = task_of(candidates, samples)
        if record:
            check_record(candidates[0], task)
        result, comparison = task.measure(f"{model} on {samples.title} {split}")
        subjects = [c.subject() for c in candidates]
        other = subjects[1] if comparison else None
        found = Findings(task, subjects[0], result, other, comparison)
        _print(found, seed or 0)
        for path in write(outputs, found, count=count, seed=seed):
            print(f"wrote {path}")
        if record:
            record_result(candidates[0], found)


class Choice(NamedTuple):
    """A model and where it is to run, as the command line has it."""

    model: str
    backend: str
    precision: Precision

    def open(self, size: tuple[int, int] | None, device: str) -> Deployed | Weights:
        return open_candidate(
            self.model, size=size, backend=self.backend, precision=self.precision, device=device
        )


def _print(found: Findings, seed: int) -> None:
    from rich.console import Console

    from rtseg.cli.evaluate_report import print_comparison, print_report

    console, ground = Console(highlight=False), found.task.ground
    print_report(console, found.subject, ground, found.result)
    if found.other and found.comparison:
        print_comparison(console, found.subject, found.other, ground, found.comparison, seed=seed)
