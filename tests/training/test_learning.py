"""Schedules, auxiliary heads, distillation, mixed precision, and what ends a run."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from made_runs import PLAIN, STILL, make_camvid, recipe  # noqa: E402

from rtseg.classes import CAMVID, LabelSet  # noqa: E402
from rtseg.errors import RecipeError, TrainingError  # noqa: E402
from rtseg.networks import build  # noqa: E402
from rtseg.training import checkpoint  # noqa: E402
from rtseg.training.distillation import load_teacher, soft_cross_entropy  # noqa: E402
from rtseg.training.learner import Learner  # noqa: E402
from rtseg.training.losses_seen import LossesSeen  # noqa: E402
from rtseg.training.optimisation import learning_rate, optimiser  # noqa: E402
from rtseg.training.recipe_parts import Auxiliary, Teacher  # noqa: E402
from rtseg.training.train import Trainer  # noqa: E402
from rtseg.training.weights import load_weights, pack_weights  # noqa: E402

CPU = torch.device("cpu")
TWO = LabelSet("two", CAMVID.labels[:2])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_camvid(tmp_path_factory.mktemp("camvid"))


@pytest.mark.parametrize(
    ("schedule", "middle", "end"), [("poly", 0.5**0.9, 0), ("cosine", 0.5, 0), ("constant", 1, 1)]
)
def test_schedules(schedule, middle, end) -> None:
    settings = recipe(schedule=schedule, warmup=10, learning_rate=2.0)
    rates = [learning_rate(settings, i, 110) for i in (0, 9, 10, 60, 110, 200)]
    assert rates == pytest.approx([0.2, 2, 2, 2 * middle, 2 * end, 2 * end])


def test_optimisers_take_their_settings() -> None:
    network = build("dilanet-s", 11)
    sgd = optimiser(network, recipe(optimiser="sgd", momentum=0.8, weight_decay=0.3))
    assert [(g["momentum"], g["weight_decay"]) for g in sgd.param_groups] == [(0.8, 0.3), (0.8, 0)]
    adamw = optimiser(network, recipe(momentum=0.7, beta2=0.98))
    assert adamw.param_groups[0]["betas"] == (0.7, 0.98)


def test_iterations_instead_of_epochs(tiny, tmp_path) -> None:
    trainer = Trainer(recipe(iterations=5, evaluate_every=9), tiny, tmp_path)
    rows = list(trainer.train())
    assert [row["epoch"] for row in rows] == [1, 2, 3]  # 2, 2 and 1 iterations
    assert rows[-1]["lr"] == 0
    assert not math.isnan(rows[-1]["val_miou"])  # the end is always validated
    assert trainer.ema.updates == 5
    with pytest.raises(ValueError, match="expected one of the two"):
        recipe(iterations=5, epochs=2)


def test_without_validation_the_last_weights_are_kept(tiny, tmp_path) -> None:
    trainer = Trainer(recipe(validate_on="none", epochs=1), tiny, tmp_path)
    (row,) = trainer.train()
    assert math.isnan(row["val_miou"])
    assert not (tmp_path / "best.safetensors").exists()
    final = load_weights(tmp_path / "final.safetensors")
    assert final.classes == CAMVID
    for name, value in final.network.state_dict().items():
        assert torch.equal(value, trainer.ema.values[name]), name


# Auxiliary heads


def test_heads_read_inner_features_and_are_not_kept(tiny, tmp_path) -> None:
    heads = [{"at": "context.3", "weight": 0.5}, {"at": "stem"}]
    settings = recipe(auxiliary=heads, epochs=1)
    trainer = Trainer(settings, tiny, tmp_path)
    learner = trainer.step.learner
    logits, eighth, quarter = learner.train()(torch.randn(2, 3, 64, 80))
    assert [t.shape[-2:] for t in (logits, eighth, quarter)] == [(16, 20), (8, 10), (16, 20)]
    before = [p.clone() for p in learner.heads.parameters()]
    list(trainer.train())
    assert any(
        not torch.equal(p, q) for p, q in zip(before, learner.heads.parameters(), strict=True)
    )
    kept = load_weights(tmp_path / "final.safetensors").network.state_dict()
    assert kept.keys() == build("dilanet-s", 11).state_dict().keys()
    again = Trainer(settings, tiny, tmp_path, resume=True).step.learner.heads.state_dict()
    for name, value in learner.heads.state_dict().items():
        assert torch.equal(value, again[name]), name


def test_a_head_sends_its_gradient_to_what_it_reads_alone() -> None:
    learner = Learner(build("dilanet-s", 11), [Auxiliary(at="context.0")], 11)
    _, inner = learner.train()(torch.randn(1, 3, 64, 80))
    inner.sum().backward()
    network = learner.network
    assert next(network.context[0].parameters()).grad is not None
    assert next(network.context[1].parameters()).grad is None
    assert next(network.decoder.parameters()).grad is None


@pytest.mark.parametrize(
    ("at", "says"), [("context.99", "no module 'context.99'"), ("nothing", "its parts are stem")]
)
def test_heads_need_a_module(at, says) -> None:
    with pytest.raises(RecipeError, match=says):
        Learner(build("dilanet-s", 11), [Auxiliary(at=at)], 11)


# Distillation


def test_soft_cross_entropy() -> None:
    a, b = torch.randn(2, 5, 4, 6), torch.randn(2, 5, 4, 6)
    assert float(soft_cross_entropy(a, a, 3.0)) == pytest.approx(0, abs=1e-6)
    p, q = ((x / 2).double().softmax(1).numpy() for x in (b, a))
    expected = 4 * (p * (np.log(p) - np.log(q))).sum(1).mean()
    assert float(soft_cross_entropy(a, b, 2.0)) == pytest.approx(expected, rel=1e-5)
    small = torch.ones(2, 5, 2, 3)
    assert soft_cross_entropy(a, small, 1.0) > 0  # brought to the student's size


def test_a_student_follows_its_teacher(tiny, tmp_path) -> None:
    """With the weight of the truth next to nothing, the student comes nearer to its teacher."""
    list(Trainer(recipe(epochs=30, evaluate_every=30), tiny, tmp_path / "t").train())
    weights = tmp_path / "t" / "final.safetensors"
    settings = recipe(
        epochs=12, teacher={"weights": str(weights), "weight": 5.0}, validate_on="none", seed=5,
        losses=[{"name": "cross_entropy", "weight": 1e-6}], augment=PLAIN, stages=STILL, ema=0.0,
    )  # fmt: skip
    student = Trainer(settings, tiny, tmp_path / "s")
    losses = [row["loss"] for row in student.train()]
    assert losses[-1] < 0.3 * losses[0]
    assert not any(p.requires_grad for p in student.step.teacher.parameters())


def test_a_teacher_of_other_classes_is_refused(tmp_path) -> None:
    path = tmp_path / "two.safetensors"
    path.write_bytes(pack_weights(build("dilanet-s", 2).state_dict(), "dilanet-s", TWO))
    with pytest.raises(RecipeError, match=r"two.safetensors has the classes two \(2\)"):
        load_teacher(Teacher(weights=str(path)), CAMVID, CPU)


# Arithmetic


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_mixed_precision_learns_and_resumes(tiny, tmp_path, amp) -> None:
    settings = recipe(amp=amp, epochs=16, evaluate_every=50)
    rows = list(Trainer(settings, tiny, tmp_path).train())
    assert rows[-1]["loss"] < 0.7 * rows[0]["loss"]
    again = Trainer(recipe(amp=amp, epochs=17), tiny, tmp_path, resume=True)
    assert again.step.scaler.is_enabled() == (amp == "fp16")
    if amp == "fp16":
        assert again.step.scaler.get_scale() > 1
    assert len(list(again.train())) == 1


def test_a_loss_on_fewer_pixels_looks_at_all_of_them_in_turn(tiny, tmp_path) -> None:
    step = Trainer(recipe(loss_stride=2), tiny, tmp_path).step
    labels = torch.arange(8 * 6).view(1, 8, 6)
    rng = torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(20):
        part = step._scored(labels, rng)
        assert part.shape == (1, 4, 3)
        seen |= set(part.flatten().tolist())
    assert len(seen) == 48


# What ends a run


def test_nan_names_the_images_of_its_batch_also_where_losses_are_looked_at_later() -> None:
    seen = LossesSeen(CPU)
    seen.every = 3
    seen.add(torch.tensor(1.0), 0, ["a"])
    seen.add(torch.tensor(float("nan")), 1, ["b", "c"])
    with pytest.raises(TrainingError, match=r"is nan at iteration 1 \(images b, c\)"):
        seen.add(torch.tensor(2.0), 2, ["d"])
    other = LossesSeen(CPU)
    other.every = 8
    other.add(torch.tensor(1.0), 0, ["a"])
    other.add(torch.tensor(4.0), 1, ["b"])
    assert other.mean() == 2.5


def test_a_gradient_that_is_not_finite_stops_the_run(tiny, tmp_path) -> None:
    """Clipping divides by the norm of all: one NaN would be in every weight, and in last.pt."""
    trainer = Trainer(recipe(), tiny, tmp_path)
    next(trainer.network.parameters()).register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(TrainingError, match="gradient, is nan at iteration 0"):
        next(trainer.train())
    assert not (tmp_path / "last.pt").exists()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory"),
    ],
)
def test_out_of_memory_says_what_to_lower(tiny, tmp_path, monkeypatch, error) -> None:
    trainer = Trainer(recipe(), tiny, tmp_path)

    def fail(*args: object) -> None:
        raise error

    monkeypatch.setattr(trainer, "step", fail)
    fail.learner = torch.nn.Identity()
    with pytest.raises(TrainingError, match="out of memory; lower batch"):
        next(trainer.train())


# Checkpoints that cannot be used


def test_a_checkpoint_that_is_none(tiny, tmp_path) -> None:
    def refuses(says: str) -> None:
        with pytest.raises(RecipeError, match=says):
            Trainer(recipe(), tiny, tmp_path, resume=True)

    last = tmp_path / "last.pt"
    refuses("no checkpoint .*last.pt")
    list(Trainer(recipe(epochs=1), tiny, tmp_path).train())
    whole = last.read_bytes()
    for damaged in (b"", whole[:2000], b"\x80\x04K\x01." + whole[5:]):
        last.write_bytes(damaged)
        refuses("cannot read the checkpoint .*last.pt")
    torch.save([1, 2], last)
    refuses("is no checkpoint of rtseg")
    torch.save({"network": "dilanet-s"}, last)
    refuses("no best, classes")


def test_a_checkpoint_of_other_classes_or_shapes(tiny, tmp_path) -> None:
    list(Trainer(recipe(epochs=1), tiny, tmp_path).train())
    last = tmp_path / "last.pt"
    state = checkpoint.load(last, "dilanet-s")
    checkpoint.save(last, state | {"classes": ["road", "sky"]})
    with pytest.raises(RecipeError, match=r"has 2 classes, the data has 11"):
        Trainer(recipe(), tiny, tmp_path, resume=True)
    checkpoint.save(last, state)
    with pytest.raises(RecipeError, match=r"last.pt does not fit the recipe"):
        Trainer(recipe(auxiliary=[{"at": "stem"}]), tiny, tmp_path, resume=True)


def test_a_checkpoint_runs_no_code(tiny, tmp_path) -> None:
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    torch.save({"network": Bomb()}, tmp_path / "last.pt")
    with pytest.raises(RecipeError, match="cannot read the checkpoint"):
        Trainer(recipe(), tiny, tmp_path, resume=True)
    assert not (tmp_path / "exploded").exists()
