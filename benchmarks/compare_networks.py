"""Networks under one recipe and budget on CamVid: accuracy on test beside latency.

    python benchmarks/compare_networks.py train runs/compare [NAME …]
    python benchmarks/compare_networks.py measure runs/compare         to results/camvid.json
    python benchmarks/compare_networks.py plot                         results → docs/networks.png

RTSEG_DATA: folder that has camvid/ (default ../shared/data). The recipe is compare.toml. `train`
goes on where it was stopped and leaves alone what is done. `measure` exports the averaged weights
of the end and runs the deployed files through OpenVINO in f32 on the 233 test images; latency is
that of results/networks.json.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import results

HERE = Path(__file__).parent
RECIPE = HERE / "compare.toml"
PLOT = HERE.parent / "docs" / "networks.png"
NAMES = (
    "dilanet-s", "dilanet-m", "fastscnn", "ddrnet23slim", "regseg", "dabnet", "erfnet", "enet",
    "fcdensenet56", "unet",
)  # fmt: skip


def data() -> Path:
    return Path(os.environ.get("RTSEG_DATA", HERE.parent.parent / "shared" / "data")) / "camvid"


def train(folder: Path, names: tuple[str, ...]) -> None:
    """One run for each network; those whose last checkpoint is the end are left alone."""
    from rtseg.training.recipe_files import load_recipe
    from rtseg.training.train import Trainer

    for name in names:
        out = folder / name
        recipe = load_recipe(RECIPE, [f"network={name}"])
        trainer = Trainer(recipe, data(), out, resume=(out / "last.pt").exists())
        for row in trainer.train():
            print(f"{name} {row['epoch']}/{trainer.epochs} loss {row['loss']} "
                  f"{row['images_per_s']} images/s", flush=True)  # fmt: skip


def measure(folder: Path) -> None:
    """Every finished run through the deployed file."""
    rows = [
        _measured(folder / name) for name in NAMES if (folder / name / "final.safetensors").exists()
    ]
    results.write("camvid", {"protocol": RECIPE.name, "precision": "f32", "rows": rows})


def _measured(run: Path) -> dict[str, Any]:
    from rtseg.evaluation import evaluate
    from rtseg.segmenter import Segmenter
    from rtseg.training.datasets import open_split
    from rtseg.training.export import export

    model = run / "model.onnx"
    if not model.exists():
        export(run / "final.safetensors", model, training=f"{RECIPE.name}, CamVid train")
    samples = open_split(data(), "test")
    with Segmenter(model, precision="f32") as segmenter:
        found = evaluate(lambda image: segmenter(image).labels, samples, samples.classes)
    matrix, epochs = found.matrix, list(csv.DictReader((run / "results.csv").open()))
    print(f"{run.name:14s} mIoU {100 * matrix.miou():.2f}", flush=True)
    return {
        "name": run.name,
        "epochs": len(epochs),
        "images_per_s": [float(epochs[i]["images_per_s"]) for i in (0, -1)],
        "miou": round(matrix.miou(), 5),
        "pixel_accuracy": round(matrix.pixel_accuracy(), 5),
        "iou": [round(float(v), 5) for v in matrix.iou()],
    }


def plot() -> None:
    """mIoU against latency, one point a network."""
    from rtseg.training.pictures import new_figure, save

    camvid = json.loads((results.FOLDER / "camvid.json").read_text())["rows"]
    cost = json.loads((results.FOLDER / "networks.json").read_text())["rows"]
    ms = {row["name"]: row["median_ms"] for row in cost if "median_ms" in row}
    figure = new_figure(8.0, 5.0)
    axes = figure.subplots()
    for row in camvid:
        ours = row["name"].startswith("dilanet")
        point = (ms[row["name"]], 100 * row["miou"])
        axes.plot(*point, "o", color="#d9660b" if ours else "#1f5fa8", markersize=8)
        axes.annotate(row["name"], point, xytext=(7, 4), textcoords="offset points", fontsize=10)
    axes.set_xscale("log")
    axes.set_xlabel("ms an image at 480x360, OpenVINO f32, two cores")
    axes.set_ylabel("CamVid test mIoU in %")
    axes.set_title("One recipe, 30 epochs from scratch", fontsize=12)
    axes.grid(alpha=0.3, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, PLOT)
    print(f"wrote {PLOT}")


def main() -> None:
    match sys.argv[1:]:
        case ["train", folder, *names]:
            train(Path(folder), tuple(names) or NAMES)
        case ["measure", folder]:
            measure(Path(folder))
        case ["plot"]:
            plot()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
