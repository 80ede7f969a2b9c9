"""Soft Dice and Lovász-softmax against their formulas, in float64 and in plain loops."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rtseg.training.loss_regions import lovasz_softmax, soft_dice  # noqa: E402


def batch(seed: int = 0):
    """Logits (3, 4, 4, 5) and labels (3, 4, 5): class 2 absent, image 1 has one class only."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 1, 3, 255], (3, 4, 5), p=[0.4, 0.3, 0.2, 0.1])
    labels[1] = np.where(labels[1] == 255, 255, 3)
    return torch.from_numpy(rng.normal(0, 2, (3, 4, 4, 5))), torch.from_numpy(labels)


def labelled(logits, labels):
    """(probabilities (C,), label) of each labelled pixel."""
    logits, labels = logits.numpy(), labels.numpy()
    found = []
    for n, y, x in np.ndindex(labels.shape):
        if labels[n, y, x] != 255:
            e = np.exp(logits[n, :, y, x])
            found.append((e / e.sum(), labels[n, y, x]))
    return found


def dice_of(found, *, squared: bool, smooth: float) -> float:
    losses = []
    for c in sorted({label for _, label in found}):
        overlap = sum(p[c] for p, label in found if label == c)
        predicted = sum(p[c] ** 2 if squared else p[c] for p, _ in found)
        true = sum(label == c for _, label in found)
        losses.append(1 - (2 * overlap + smooth) / (predicted + true + smooth))
    return float(np.mean(losses))


def iou_loss(wrong: set[int], truth: list[bool]) -> float:
    """1 - IoU of a class if the pixels of `wrong` are got wrong."""
    found = [t != (i in wrong) for i, t in enumerate(truth)]
    both = sum(f and t for f, t in zip(found, truth, strict=True))
    either = sum(f or t for f, t in zip(found, truth, strict=True))
    return 1 - both / either


def lovasz_of(found) -> float:
    """The paper's definition: errors by falling size times the growth of the IoU loss."""
    losses = []
    for c in sorted({label for _, label in found}):
        truth = [label == c for _, label in found]
        errors = [1 - p[c] if t else p[c] for (p, _), t in zip(found, truth, strict=True)]
        order = sorted(range(len(errors)), key=lambda i: -errors[i])
        steps = [
            iou_loss(set(order[: k + 1]), truth) - iou_loss(set(order[:k]), truth)
            for k in range(len(order))
        ]
        losses.append(sum(errors[i] * step for i, step in zip(order, steps, strict=True)))
    return float(np.mean(losses))


def by_image(logits, labels):
    return [labelled(logits[n : n + 1], labels[n : n + 1]) for n in range(len(labels))]


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_dice_follows_its_formula(squared, smooth) -> None:
    logits, labels = batch()
    expected = dice_of(labelled(logits, labels), squared=squared, smooth=smooth)
    loss = soft_dice(logits, labels, squared=squared, smooth=smooth)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("squared", [False, True])
def test_dice_per_image_is_the_mean_over_images(squared) -> None:
    logits, labels = batch()
    images = by_image(logits, labels)
    expected = np.mean([dice_of(found, squared=squared, smooth=1.0) for found in images])
    loss = soft_dice(logits, labels, squared=squared, per_image=True)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert loss.item() != pytest.approx(soft_dice(logits, labels, squared=squared).item())


def test_an_absent_class_is_left_out_of_dice() -> None:
    logits = torch.tensor([3.0, 0.0, 1.0], dtype=torch.float64).view(1, 3, 1, 1)
    p = logits.softmax(1)[0, 0, 0, 0].item()
    loss = soft_dice(logits, torch.zeros(1, 1, 1, dtype=torch.long), smooth=0.0)
    assert loss.item() == pytest.approx(1 - 2 * p / (p + 1), rel=1e-12)


def test_dice_of_a_perfect_answer_is_0() -> None:
    labels = torch.tensor([[[0, 1], [2, 255]]])
    logits = 100.0 * torch.nn.functional.one_hot(labels.clamp(max=2), 3).movedim(-1, 1)
    for squared in (False, True):
        assert soft_dice(logits, labels, squared=squared).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_lovasz_follows_its_definition(seed) -> None:
    logits, labels = batch(seed)
    expected = lovasz_of(labelled(logits, labels))
    assert lovasz_softmax(logits, labels).item() == pytest.approx(expected, rel=1e-12)


def test_lovasz_per_image_is_the_mean_over_images() -> None:
    logits, labels = batch()
    expected = np.mean([lovasz_of(found) for found in by_image(logits, labels)])
    loss = lovasz_softmax(logits, labels, per_image=True)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_lovasz_of_hard_answers_is_one_minus_iou() -> None:
    truth = torch.tensor([[[0, 0, 0, 1, 1, 255]]])
    answer = torch.tensor([[[0, 0, 1, 1, 1, 0]]])
    logits = 1e4 * torch.nn.functional.one_hot(answer, 2).movedim(-1, 1).double()
    assert lovasz_softmax(logits, truth).item() == pytest.approx(1 - (2 / 3 + 2 / 3) / 2)


def test_images_without_labels_do_not_enter_the_mean() -> None:
    logits, labels = batch()
    labels[2] = 255
    for loss in (soft_dice, lovasz_softmax):
        two = loss(logits[:2], labels[:2], per_image=True)
        torch.testing.assert_close(loss(logits, labels, per_image=True), two)
