"""Training in two processes, started as the README has it."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from made_runs import PLAIN, STILL, make_camvid, recipe, settings  # noqa: E402

from rtseg.training.synced_norm import SyncedBatchNorm, synced  # noqa: E402
from rtseg.training.train import Trainer  # noqa: E402
from rtseg.training.weights import load_weights  # noqa: E402

SETTINGS: dict[str, object] = {
    "epochs": 3, "batch": 4, "evaluate_every": 1, "augment": PLAIN, "stages": STILL, "ema": 0.5,
}  # fmt: skip


def launch(recipe_file: Path, data: Path, out: Path, *more: str) -> subprocess.CompletedProcess:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "rtseg.training", recipe_file, "--data", data, "--out", out, *more,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


def rows(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "results.csv").read_text().splitlines()))


def toml(values: dict[str, object]) -> str:
    """The keys of a recipe as TOML: numbers, strings, and lists and tables of them."""

    def value(v: object) -> str:
        if isinstance(v, dict):
            return "{" + ", ".join(f"{k} = {value(x)}" for k, x in v.items()) + "}"
        if isinstance(v, (list, tuple)):
            return "[" + ", ".join(map(value, v)) + "]"
        return f'"{v}"' if isinstance(v, str) else str(v).lower()

    return "\n".join(f"{k} = {value(v)}" for k, v in values.items())


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> tuple[Path, Path]:
    """Folders of one recipe run in one process, and in two."""
    root = tmp_path_factory.mktemp("parallel")
    data = make_camvid(root / "data", 8)
    list(Trainer(recipe(**SETTINGS), data, root / "one").train())
    (root / "two.toml").write_text(toml(settings(**SETTINGS)))
    done = launch(root / "two.toml", data, root / "two")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch ") == 3  # one process prints
    return root / "one", root / "two"


def test_two_processes_follow_the_loss_of_one(both) -> None:
    one, two = ([float(row["loss"]) for row in rows(out)] for out in both)
    assert one[-1] < one[0]
    assert two == pytest.approx(one, rel=2e-3)


def test_sharded_evaluation_counts_every_image_once(both) -> None:
    one, two = ([float(row["val_miou"]) for row in rows(out)] for out in both)
    assert two == pytest.approx(one, abs=5e-3)


def test_the_weights_are_those_of_one_process(both) -> None:
    one, two = (load_weights(out / "final.safetensors").network.state_dict() for out in both)
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.allclose(two[name].float(), value.float(), rtol=0.02, atol=2e-3), name


def test_two_processes_resume_a_run_of_two(both, tmp_path) -> None:
    _, out = both
    data = out.parent / "data"
    done = launch(out.parent / "two.toml", data, out, "--resume", "--set", "epochs=4")
    assert done.returncode == 0, done.stderr
    assert [row["epoch"] for row in rows(out)] == ["1", "2", "3", "4"]
    refused = launch(out.parent / "two.toml", data, tmp_path / "odd", "--set", "batch=3")
    assert refused.returncode != 0
    assert "batch 3 cannot be divided among 2 processes" in refused.stderr


def test_synced_norm_of_one_process_is_batch_norm(monkeypatch) -> None:
    """With the mean over all processes that of this one alone."""
    monkeypatch.setattr("rtseg.training.synced_norm._over_all", lambda values: values)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 1)
    plain = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4)).train()
    other = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4)).train()
    other.load_state_dict(plain.state_dict())
    synced(other, torch.device("cpu"))
    assert isinstance(other[1], SyncedBatchNorm)
    x = 3 + 2 * torch.randn(2, 3, 8, 8)
    for _ in range(3):
        assert torch.allclose(plain(x), other(x), atol=1e-5)
    plain(x).square().sum().backward()
    other(x).square().sum().backward()
    for (name, p), q in zip(plain.named_parameters(), other.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, rtol=1e-3, atol=1e-3), name
    for (name, p), q in zip(plain.named_buffers(), other.buffers(), strict=True):
        assert torch.allclose(p.float(), q.float(), atol=1e-5), name
    assert torch.allclose(plain.eval()(x), other.eval()(x), atol=1e-5)
