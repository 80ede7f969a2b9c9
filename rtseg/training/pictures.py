"""Pictures of a training and its result: curves and the confusion matrix, as PNG.

Drawn with matplotlib (extra `train`) straight onto a canvas in memory: no window, no global state.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtseg.errors import EngineError
from rtseg.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

DPI = 110
BLUE, ORANGE, GREY = "#1f5fa8", "#d9660b", "#6b6b6b"
NO_ANSWER = "no answer"


def curves_png(rows: Sequence[Mapping[str, float]], path: Path, *, title: str = "") -> None:
    """Loss, validation mIoU and learning rate against the epoch.

    rows: those of results.csv, at least one, with "epoch", "loss", "lr" and "val_miou" (0–1, NaN
    where it was not measured). Raises EngineError without matplotlib, OutputError.
    """
    if not rows:
        raise ValueError("no rows; expected at least one epoch")
    figure = new_figure(8.0, 7.5)
    loss, miou, rate = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1.4))
    epochs = [row["epoch"] for row in rows]
    _line(loss, epochs, [row["loss"] for row in rows], "loss", BLUE)
    measured = [row for row in rows if not math.isnan(row["val_miou"])]
    values = [100 * row["val_miou"] for row in measured]
    _line(miou, [row["epoch"] for row in measured], values, "val mIoU in %", ORANGE)
    if measured:
        _mark_best(miou, [row["epoch"] for row in measured], values)
    _line(rate, epochs, [row["lr"] for row in rows], "learning rate", GREY)
    rate.set_xlabel("epoch")
    rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    rate.xaxis.get_major_locator().set_params(integer=True)
    if title:
        figure.suptitle(title, fontsize=13)
    save(figure, path)


def confusion_png(
    counts: NDArray[Any], names: Sequence[str], path: Path, *, title: str = ""
) -> None:
    """The confusion matrix, each row in percent of the pixels of its true class.

    counts: (n, n) pixels, rows the truth, columns the prediction; or (n, n + 1) with pixels that
    got no answer in the last column, which is drawn if there are any. Rows of classes that do not
    occur stay empty. Raises ValueError for another shape, EngineError without matplotlib,
    OutputError.
    """
    n = len(names)
    if counts.shape not in ((n, n), (n, n + 1)):
        raise ValueError(f"counts of {counts.shape} for {n} names; expected {(n, n)} or +1 column")
    columns = list(names)
    if counts.shape[1] > n and counts[:, n].any():
        columns.append(NO_ANSWER)
    share = _row_percent(counts)[:, : len(columns)]
    side = 0.5 * n + 2.6
    figure = new_figure(side + 0.8, side)
    axes = figure.subplots()
    image = _matrix(axes, share, names, columns)
    figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, label="% of the true class")
    axes.set_title(title or "confusion matrix", fontsize=12, pad=12)
    save(figure, path)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches. Raises EngineError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise EngineError(f'drawing needs matplotlib ({exc}); pip install "rtseg[train]"') from exc
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG. Raises OutputError."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    write_atomically(path, file.getvalue())


def _line(axes: Axes, x: Sequence[float], y: Sequence[float], label: str, colour: str) -> None:
    axes.plot(x, y, color=colour, linewidth=1.8, marker="o" if len(x) < 40 else "", markersize=3.5)
    axes.set_ylabel(label, fontsize=11)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _mark_best(axes: Axes, epochs: Sequence[float], values: Sequence[float]) -> None:
    best = int(np.argmax(values))
    axes.plot(epochs[best], values[best], "o", color=ORANGE, markersize=8, fillstyle="none")
    axes.set_title(
        f"best {values[best]:.2f} % at epoch {epochs[best]:.0f}", fontsize=10, loc="right"
    )


def _row_percent(counts: NDArray[Any]) -> NDArray[np.float64]:
    total = counts.sum(1, keepdims=True).astype(np.float64)
    out = np.full(counts.shape, np.nan)
    np.divide(100.0 * counts, total, out=out, where=total > 0)
    return out


def _matrix(
    axes: Axes, share: NDArray[np.float64], rows: Sequence[str], columns: Sequence[str]
) -> Any:
    """The coloured cells with their figures. The root makes small confusions visible."""
    from matplotlib.colors import PowerNorm

    image = axes.imshow(share, cmap="Blues", norm=PowerNorm(0.5, 0.0, 100.0))
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("predicted", fontsize=11)
    axes.set_ylabel("true", fontsize=11)
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    for (y, x), value in np.ndenumerate(share):
        if value >= 0.5:
            axes.text(
                x, y, f"{value:.0f}", ha="center", va="center", fontsize=9,
                color="white" if value > 40 else "#1b2a3a",
                fontweight="bold" if x == y else "normal",
            )  # fmt: skip
    return image
