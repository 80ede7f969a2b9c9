"""Curves and confusion matrices as PNG."""

from __future__ import annotations

import builtins
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib")

from rtseg.errors import EngineError, OutputError
from rtseg.training.pictures import confusion_png, curves_png

NAMES = [f"class {i}" for i in range(5)]


def rows(count: int) -> list[dict[str, float]]:
    return [
        {"epoch": i, "loss": 2 / i, "lr": 1e-3 / i, "val_miou": 0.1 * i if i % 2 else math.nan}
        for i in range(1, count + 1)
    ]


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def blue(picture: np.ndarray) -> int:
    """Pixels of the darkest blue of the colour map."""
    return int(((picture[..., 2] > picture[..., 0] + 60) & (picture[..., 0] < 40)).sum())


@pytest.mark.parametrize("count", [1, 2, 9])
def test_curves(tmp_path, count) -> None:
    curves_png(rows(count), tmp_path / "c.png", title="a run")
    picture = read(tmp_path / "c.png")
    assert min(picture.shape[:2]) > 600
    orange = (abs(picture - (217, 102, 11)).sum(2) < 30).sum()
    assert orange > 20


def test_curves_show_their_values(tmp_path) -> None:
    """Another loss is another picture, and so is another mIoU."""
    pictures = []
    for key, factor in (("loss", 1.0), ("loss", 1.5), ("val_miou", 0.5)):
        changed = [row | {key: row[key] * (factor if row["epoch"] == 3 else 1)} for row in rows(5)]
        curves_png(changed, tmp_path / "c.png")
        pictures.append((tmp_path / "c.png").read_bytes())
    assert len(set(pictures)) == 3


def test_curves_without_validation(tmp_path) -> None:
    curves_png([row | {"val_miou": math.nan} for row in rows(4)], tmp_path / "c.png")
    assert read(tmp_path / "c.png").std() > 10
    with pytest.raises(ValueError, match="no rows"):
        curves_png([], tmp_path / "c.png")


def test_the_diagonal_of_a_perfect_matrix_is_dark(tmp_path) -> None:
    confusion_png(np.diag([5, 5, 5, 5, 5]), NAMES, tmp_path / "a.png")
    confusion_png(np.diag([5, 5, 5, 5, 0]), NAMES, tmp_path / "b.png")
    confusion_png(np.full((5, 5), 7), NAMES, tmp_path / "c.png")
    a, b, c = (blue(read(tmp_path / f"{n}.png")) for n in "abc")
    cell = a - b  # the row without pixels stays empty
    assert cell > 1000
    assert a > 4.5 * cell
    assert c < cell


def test_rows_are_shares_of_their_class(tmp_path) -> None:
    counts = np.array([[8, 2], [1, 1]])
    confusion_png(counts, NAMES[:2], tmp_path / "a.png")
    confusion_png(counts * np.array([[1000], [3]]), NAMES[:2], tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_column_for_no_answer_if_there_is_any(tmp_path) -> None:
    counts = np.eye(3, 4, dtype=int) * 10
    confusion_png(counts, NAMES[:3], tmp_path / "none.png")
    confusion_png(counts[:, :3], NAMES[:3], tmp_path / "square.png")
    counts[:, 3] = 10
    confusion_png(counts, NAMES[:3], tmp_path / "some.png")
    none, square, some = ((tmp_path / f"{n}.png").read_bytes() for n in ("none", "square", "some"))
    assert none == square != some


def test_what_cannot_be_drawn(tmp_path, monkeypatch) -> None:
    with pytest.raises(ValueError, match="expected"):
        confusion_png(np.zeros((3, 3)), NAMES, tmp_path / "c.png")
    with pytest.raises(OutputError, match="nowhere"):
        confusion_png(np.eye(5), NAMES, tmp_path / "nowhere" / "c.png")
    real = builtins.__import__

    def no_matplotlib(name, *args, **kwargs):
        if name.split(".")[0] == "matplotlib":
            raise ImportError("No module named 'matplotlib'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_matplotlib)
    with pytest.raises(EngineError, match=r'pip install "rtseg\[train\]"'):
        curves_png(rows(3), tmp_path / "c.png")
    assert not list(tmp_path.iterdir())


def test_drawing_needs_no_torch() -> None:
    import subprocess

    code = "import sys, rtseg.training.pictures; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
