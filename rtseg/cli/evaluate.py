"""`rtseg eval`: accuracy of a deployed model on labelled data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtseg.cli import options
from rtseg.files import write_atomically

if TYPE_CHECKING:
    from rich.table import Table

    from rtseg.contract import Measured
    from rtseg.metrics import ConfusionMatrix
    from rtseg.segmenter import Segmenter


def evaluate_command(
    model: Annotated[str, typer.Argument(help="A shipped model's name, or an .onnx file.")],
    data: options.Data,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    size: options.Size = None,
    backend: options.Backend = "auto",
    precision: options.PrecisionName = "auto",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON.")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write the result into the model file's contract.")
    ] = False,
    yes: options.Yes = False,
    no: options.No = False,
) -> None:
    """Measure mIoU on CamVid through the deployed file, engine and kernels."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import track

    from rtseg.evaluation import evaluate
    from rtseg.segmenter import Segmenter
    from rtseg.training.datasets import open_split
    from rtseg.video.output import check_output

    samples = open_split(data, split)
    with Segmenter(
        model, size=options.parse_size(size), backend=backend,
        precision=options.parse_precision(precision),
    ) as segmenter:  # fmt: skip
        if json_file:
            check_output(json_file, inputs=[segmenter.model.path], overwrite=None)
            options.may_overwrite([json_file], yes=yes, no=no)
        console = Console(stderr=True)
        pairs = track(samples, f"{escape(model)} on {split}", console=console)
        matrix = evaluate(segmenter, pairs)
        result = measured(segmenter, matrix, split, len(samples))
        Console(highlight=False).print(iou_table(segmenter, matrix))
        print(
            f"mIoU {100 * result.miou:.2f}  pixel accuracy {100 * result.pixel_accuracy:.2f}  "
            f"({len(samples)} images of CamVid {split}, 11 classes, {result.engine})"
        )
        if json_file:
            text = json.dumps(result.model_dump(), indent=2) + "\n"
            write_atomically(json_file, text.encode())
        if record:
            _record(segmenter, result)


def measured(segmenter: Segmenter, matrix: ConfusionMatrix, split: str, images: int) -> Measured:
    """The result as the contract states it."""
    from rtseg.contract import Measured

    engine = segmenter.engine(*segmenter.model.contract.trained_size)
    assert segmenter.size is not None
    return Measured(
        data="CamVid",
        split=split,
        images=images,
        engine=f"{engine.name} {engine.precision} at {segmenter.size[0]}x{segmenter.size[1]}",
        miou=round(matrix.miou(), 5),
        pixel_accuracy=round(matrix.pixel_accuracy(), 5),
        iou=tuple(None if v != v else round(float(v), 5) for v in matrix.iou()),
    )


def iou_table(segmenter: Segmenter, matrix: ConfusionMatrix) -> Table:
    """IoU and recall by class, in percent."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("class")
    table.add_column("IoU %", justify="right")
    table.add_column("recall %", justify="right")
    rows = zip(segmenter.model.classes, matrix.iou(), matrix.recall(), strict=True)
    for label, iou, recall in rows:
        r, g, b = label.colour
        table.add_row(
            f"[rgb({r},{g},{b})]■[/] {label.name}", f"{100 * iou:.1f}", f"{100 * recall:.1f}"
        )
    return table


def _record(segmenter: Segmenter, result: Measured) -> None:
    import onnx

    from rtseg.model import with_contract

    model = segmenter.model
    contract = model.contract.model_copy(update={"measured": result})
    graph = onnx.load_model_from_string(model.data)
    write_atomically(model.path, with_contract(graph, contract))
