"""The files that `rtseg eval` writes: figures, pictures, and the contract of the model."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rtseg.cli import options
from rtseg.cli.evaluate_models import Candidate, Deployed
from rtseg.errors import InputError, OutputError
from rtseg.files import write_atomically

if TYPE_CHECKING:
    from rtseg.cli.evaluate_task import Task
    from rtseg.contract import Measured
    from rtseg.evaluation import Comparison, Evaluation, Subject


class Outputs(NamedTuple):
    """The files that were asked for."""

    figures: Path | None
    confusion: Path | None
    sheet: Path | None

    def check(self, inputs: Sequence[Path], *, yes: bool, no: bool) -> None:
        """Before anything is measured. Raises OutputError, InputError, EngineError."""
        from rtseg.video.output import check_output

        files = [path for path in self if path is not None]
        if len({path.resolve() for path in files}) < len(files):
            raise InputError(f"one file for several outputs: {', '.join(map(str, files))}")
        for path in (self.confusion, self.sheet):
            if path is not None and path.suffix.lower() != ".png":
                raise OutputError(f"{path} is no .png; give a name that ends in .png")
        if self.confusion is not None:
            from rtseg.training.pictures import new_figure

            new_figure(1.0, 1.0)  # that it can be drawn
        for path in files:
            check_output(path, inputs=list(inputs), overwrite=None)
        options.may_overwrite(files, yes=yes, no=no)


class Findings(NamedTuple):
    """All that was found, for those who write it."""

    task: Task
    subject: Subject
    result: Evaluation
    other: Subject | None
    comparison: Comparison | None


def write(outputs: Outputs, found: Findings, *, count: int, seed: int | None) -> list[Path]:
    """Write what was asked for; the files. Raises OutputError."""
    if outputs.figures is not None:
        write_atomically(outputs.figures, figures(found, seed or 0))
    title = f"{found.subject.name} on {found.task.split.title} {found.task.split.split}"
    if outputs.confusion is not None:
        from rtseg.training.pictures import confusion_png

        line = f"{title} ({found.subject.engine} {found.subject.precision})"
        names = found.result.classes.names
        confusion_png(found.result.matrix.counts, names, outputs.confusion, title=line)
    if outputs.sheet is not None:
        write_atomically(outputs.sheet, sheet(found, title, count, seed))
    return [path for path in outputs if path is not None]


def figures(found: Findings, seed: int) -> bytes:
    """The JSON document (see rtseg/evaluation/document.py)."""
    from rtseg.evaluation.document import document

    values = document(
        found.subject, found.task.ground, found.result, found.other, found.comparison, seed=seed
    )
    return (json.dumps(values, indent=2, allow_nan=False) + "\n").encode()


def sheet(found: Findings, title: str, count: int, seed: int | None) -> bytes:
    """A contact sheet as PNG: the images of lowest mIoU, or `count` drawn by `seed`."""
    from rtseg.training.contact_sheet import Predicted, contact_sheet

    if seed is None:
        chosen = found.result.worst(count)
        which = f"the {len(chosen)} images of lowest mIoU, the worst first"
    else:
        places = range(len(found.result))
        chosen = sorted(random.Random(seed).sample(places, min(count, len(places))))
        which = f"{len(chosen)} of {len(places)} images, seed {seed}"
    scores, rows = found.result.image_miou(), []
    for place in chosen:
        name, image, labels = found.task[place]
        caption = f"mIoU {100 * scores[place]:.1f} %  {name}"
        rows.append([Predicted(caption, image, labels, found.task.predictors[0](image))])
    if not rows:
        raise OutputError("no image has labels of the classes that were scored: nothing to draw")
    lines = [title, which, "from above: image, labels, prediction"]
    file = io.BytesIO()
    contact_sheet(rows, found.result.classes, lines).save(file, "PNG")
    return file.getvalue()


def check_record(candidate: Candidate, task: Task) -> None:
    """Raises InputError unless the result can be written into the model's contract."""
    if not isinstance(candidate, Deployed):
        raise InputError(f"--record writes into a model file; {candidate.path} is none")
    if task.table is not None:
        raise InputError(
            f"--record needs data of the model's own {len(candidate.classes)} classes; "
            f"{task.split.title} was mapped to {len(task.classes)}"
        )


def record(candidate: Candidate, found: Findings) -> None:
    """Write the result into the contract of the model file. Raises OutputError."""
    import onnx

    from rtseg.model import with_contract

    assert isinstance(candidate, Deployed)
    model = candidate.segmenter.model
    contract = model.contract.model_copy(update={"measured": measured(found)})
    graph = onnx.load_model_from_string(model.data)
    write_atomically(model.path, with_contract(graph, contract))


def measured(found: Findings) -> Measured:
    """The result as the contract states it."""
    from rtseg.contract import Measured
    from rtseg.evaluation.document import number

    subject, result, matrix = found.subject, found.result, found.result.matrix
    sizes = list(result.resolutions)
    return Measured(
        data=found.task.split.title,
        split=found.task.split.split,
        images=len(result),
        engine=f"{subject.engine} {subject.precision} at {subject.input_line()}",
        resolution=sizes[0] if len(sizes) == 1 else None,
        miou=round(matrix.miou(), 5),
        pixel_accuracy=round(matrix.pixel_accuracy(), 5),
        mean_accuracy=number(round(matrix.mean_accuracy(), 5)),
        boundary_f=number(round(result.boundary.mean(), 5)),
        iou=tuple(None if v != v else round(float(v), 5) for v in matrix.iou()),
    )
