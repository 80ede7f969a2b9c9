"""Networks under one recipe and budget on CamVid: accuracy on test beside latency.

    python benchmarks/compare_networks.py train cuda runs/compare [NAME …]
    python benchmarks/compare_networks.py collect runs/compare         to results/camvid.json
    python benchmarks/compare_networks.py plot                         results → docs/networks.png

RTSEG_DATA: folder that has camvid/ (default ../shared/data). The recipe is compare.toml. `train`
goes on where it was stopped and leaves alone what is done; the averaged weights of the end are
measured on the test images at 480x360 (or the nearest size that a network takes) by torch in f32.
`collect` keeps the rows of networks that are not in the folder; latency is that of
results/networks.json.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))
import results

from rtseg.hardware import cpu_name

if TYPE_CHECKING:
    import torch

    from rtseg.training.train import Trainer

HERE = Path(__file__).parent
RECIPE = HERE / "compare.toml"
PLOT = HERE.parent / "docs" / "networks.png"
NAMES = (
    "dilanet-s", "dilanet-m", "fastscnn", "ddrnet23slim", "regseg", "dabnet", "erfnet", "enet",
    "fcdensenet56", "unet",
)  # fmt: skip


def data() -> Path:
    return Path(os.environ.get("RTSEG_DATA", HERE.parent.parent / "shared" / "data")) / "camvid"


def train(device: str, folder: Path, names: tuple[str, ...]) -> None:
    """One run for each network, and its row; those that have one are left alone."""
    from rtseg.training.recipe_files import load_recipe
    from rtseg.training.train import Trainer
    from rtseg.training.world import World, find_device

    for name in names:
        out = folder / name
        if (out / "row.json").exists():
            continue
        recipe = load_recipe(RECIPE, [f"network={name}"])
        world = World(find_device(device))
        trainer = Trainer(recipe, data(), out, resume=(out / "last.pt").exists(), world=world)
        rates = []
        for row in trainer.train():
            rates.append(row["images_per_s"])
            print(f"{name} {row['epoch']}/{trainer.epochs} loss {row['loss']} "
                  f"{row['images_per_s']} images/s", flush=True)  # fmt: skip
        _keep(out / "row.json", trainer, float(median(rates)))


def _keep(path: Path, trainer: Trainer, rate: float) -> None:
    matrix = trainer.matrix
    assert matrix is not None  # the end is always measured
    row = {
        "name": trainer.recipe.network,
        "device": _device(trainer.world.device),
        "epochs": trainer.epoch,
        "images_per_s": rate,
        "miou": round(matrix.miou(), 5),
        "pixel_accuracy": round(matrix.pixel_accuracy(), 5),
        "iou": [round(float(v), 5) for v in matrix.iou()],
    }
    path.write_text(json.dumps(row))
    print(f"{row['name']:14s} mIoU {100 * matrix.miou():.2f}", flush=True)


def _device(device: torch.device) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()


def collect(folder: Path) -> None:
    """The rows of every finished run, and those that are there of others."""
    there = results.FOLDER / "camvid.json"
    rows = json.loads(there.read_text())["rows"] if there.exists() else []
    fresh = [json.loads(file.read_text()) for file in folder.glob("*/row.json")]
    by_name = {row["name"]: row for row in (*rows, *fresh)}
    ordered = [by_name[name] for name in NAMES if name in by_name]
    results.write("camvid", {"protocol": RECIPE.name, "measured": "torch f32", "rows": ordered})


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
    epochs = tomllib.loads(RECIPE.read_text())["epochs"]
    axes.set_title(f"One recipe, {epochs} epochs from scratch", fontsize=12)
    axes.grid(alpha=0.3, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, PLOT)
    print(f"wrote {PLOT}")


def main() -> None:
    match sys.argv[1:]:
        case ["train", device, folder, *names]:
            train(device, Path(folder), tuple(names) or NAMES)
        case ["collect", folder]:
            collect(Path(folder))
        case ["plot"]:
            plot()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
