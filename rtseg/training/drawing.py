"""What a finished run looks like: curves, confusion matrix, predictions beside labels."""

from __future__ import annotations

import io
from collections.abc import Mapping

from torch import Tensor

from rtseg.files import write_atomically
from rtseg.metrics import ConfusionMatrix
from rtseg.training.contact_sheet import Predicted, contact_sheet
from rtseg.training.pictures import confusion_png, curves_png
from rtseg.training.run_folder import RunFolder
from rtseg.training.validation import Validator

SHOWN = 9
"""Validation images on the sheet, evenly spread over the split."""


def draw_curves(folder: RunFolder, network: str) -> None:
    """curves.png of results.csv. Raises EngineError without matplotlib, OutputError."""
    curves_png(folder.rows(), folder.path / "curves.png", title=network)


def draw_validation(
    folder: RunFolder, validator: Validator, matrix: ConfusionMatrix, weights: Mapping[str, Tensor]
) -> None:
    """confusion.png and predictions.png of these weights. Raises as `draw_curves`."""
    split = validator.split
    title = f"{split.title} {split.split}: mIoU {100 * matrix.miou():.2f} %"
    confusion_png(matrix.counts, split.classes.names, folder.path / "confusion.png", title=title)
    file = io.BytesIO()
    rows = [[sample] for sample in _predicted(validator, weights)]
    contact_sheet(rows, split.classes, [title, "image, labels, prediction"]).save(file, "PNG")
    write_atomically(folder.path / "predictions.png", file.getvalue())


def _predicted(validator: Validator, weights: Mapping[str, Tensor]) -> list[Predicted]:
    network = validator.network(weights)
    count = len(validator.split)
    places = sorted({i * count // SHOWN for i in range(SHOWN)})
    samples = [validator.split[i] for i in places]
    return [Predicted(*s, validator.predict(network, s.image)) for s in samples]
