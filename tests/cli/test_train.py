"""`rtseg train` as a user calls it, on a few rendered frames in CamVid's layout."""

from __future__ import annotations

import builtins
from pathlib import Path

import cv2
import pytest
from PIL import Image

pytest.importorskip("torch")

from rtseg.synthetic import labelled_frames
from rtseg.training.weights import load_weights

RECIPE = """
network = "dilanet-s"
epochs = 2
batch = 2
learning_rate = 2e-3
warmup = 1
evaluate_every = 1
stages = [{ until = 1.0, crop = [64, 96], scale = [0.6, 1.0] }]
"""


@pytest.fixture
def camvid(tmp_path) -> Path:
    root = tmp_path / "camvid"
    for split in ("train", "val"):
        for folder in (split, f"{split}annot"):
            (root / folder).mkdir(parents=True)
        for i, (image, labels) in enumerate(labelled_frames(2, 160, 120)):
            cv2.imwrite(str(root / split / f"{split}{i}.png"), image)
            cv2.imwrite(str(root / f"{split}annot" / f"{split}{i}.png"), labels)
        (root / f"{split}.txt").write_text(f"{split}0\n{split}1\n")
    (tmp_path / "r.toml").write_text(RECIPE)
    return root


def test_it_trains_says_how_it_goes_and_resumes(rtseg, camvid, tmp_path) -> None:
    done = rtseg("train", "r.toml", "--data", camvid)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "dilanet-s  2 images (in the memory of cpu)  →  runs/r"
    assert [line.split()[1] for line in lines[1:3]] == ["1/2", "2/2"]
    for word in ("loss ", "lr ", "images/s", "waiting ", "val mIoU ", "left"):
        assert all(word in line for line in lines[1:3])
    for name in ("curves", "confusion", "predictions"):
        with Image.open(tmp_path / "runs/r" / f"{name}.png") as picture:
            assert min(picture.size) > 300
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
    load_weights(tmp_path / "runs/r/best.safetensors")
    load_weights(tmp_path / "runs/r/final.safetensors")
    again = rtseg("train", "r.toml", "--data", camvid)
    assert again.code == 2
    assert "pass --resume" in again.err
    more = rtseg("train", "r.toml", "--data", camvid, "--resume", "--set", "epochs=3")
    assert more.code == 0, more.err
    assert [line.split()[1] for line in more.out.splitlines() if "epoch" in line] == ["3/3"]
    assert len((tmp_path / "runs/r/results.csv").read_text().splitlines()) == 4


def test_without_matplotlib_the_weights_are_kept(rtseg, camvid, tmp_path, monkeypatch) -> None:
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError("No module named 'matplotlib'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    done = rtseg("train", "r.toml", "--data", camvid)
    assert done.code == 0, done.err
    assert "no pictures: drawing needs matplotlib" in done.out
    load_weights(tmp_path / "runs/r/final.safetensors")


def test_tensorboard(rtseg, camvid, tmp_path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    done = rtseg("train", "r.toml", "--data", camvid, "--tensorboard", "--out", "t")
    assert done.code == 0, done.err
    events = EventAccumulator(str(tmp_path / "t" / "tensorboard"))
    events.Reload()
    assert {"loss", "lr", "val_miou"} <= set(events.Tags()["scalars"])
    assert [point.step for point in events.Scalars("loss")] == [1, 2]


def test_without_tensorboard_it_says_what_to_install(rtseg, camvid, monkeypatch) -> None:
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError("No module named 'tensorboard'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    done = rtseg("train", "r.toml", "--data", camvid, "--tensorboard")
    assert done.code == 1
    assert "pip install tensorboard" in done.err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("nothing",), "no recipe 'nothing'"),
        (("r.toml", "--set", "batch=3"), "2 images are fewer than a batch of 3"),
        (("r.toml", "--set", "network=resnet"), "resnet"),
        (("r.toml", "--set", "splits=['test']"), "unknown CamVid split 'test'"),
        (("r.toml", "--set", "validate_on=all"), "'all'"),
        (("r.toml", "--set", "iterations=0"), "iterations"),
        (("r.toml", "--set", "weights=none.safetensors"), "cannot read the weights none"),
        (("r.toml", "--device", "abacus"), "device 'abacus'"),
        (("r.toml", "--resume"), "no checkpoint runs/r/last.pt"),
    ],
)
def test_it_refuses(rtseg, camvid, tmp_path, args, says) -> None:
    done = rtseg("train", *args, "--data", camvid)
    assert done.code == 2
    assert says in done.err
    assert len(done.err.splitlines()) == 1
    assert not list(tmp_path.rglob("*.safetensors"))
