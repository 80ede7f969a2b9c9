"""What every loss keeps to: gradients, empty batches, half precision, upsampling, learning."""

from __future__ import annotations

from functools import partial

import pytest

torch = pytest.importorskip("torch")

from rtseg.metrics import ConfusionMatrix  # noqa: E402
from rtseg.training.loss_regions import lovasz_softmax, soft_dice  # noqa: E402
from rtseg.training.losses import cross_entropy, focal, ohem_cross_entropy  # noqa: E402

WEIGHTS = torch.tensor([0.5, 2.0, 1.0])
LOSSES = {
    "cross_entropy": cross_entropy,
    "weighted": partial(cross_entropy, weights=WEIGHTS),
    "smoothed": partial(cross_entropy, smoothing=0.1),
    "focal": focal,
    "focal of gamma 0.5": partial(focal, gamma=0.5, weights=WEIGHTS),
    "ohem": partial(ohem_cross_entropy, threshold=0.6, min_kept=4),
    "dice": soft_dice,
    "dice, squares, no epsilon": partial(soft_dice, squared=True, smooth=0.0),
    "dice per image": partial(soft_dice, per_image=True),
    "lovasz": lovasz_softmax,
    "lovasz per image": partial(lovasz_softmax, per_image=True),
}
each_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


def tiny(size: tuple[int, int] = (3, 3)):
    """Logits (2, 3, h, w) float64 and labels (2, 3, 3): class 1 absent, the last row ignored."""
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 3, *size, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 2, (2, 3, 3), generator=generator) * 2
    labels[:, -1] = 255
    return logits.requires_grad_(), labels


@each_loss
@pytest.mark.parametrize("size", [(3, 3), (2, 2)], ids=["same size", "upsampled"])
def test_gradients_are_those_of_finite_differences(loss, size) -> None:
    logits, labels = tiny(size)
    assert torch.autograd.gradcheck(lambda x: loss(x, labels), (logits,))


@each_loss
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_an_all_ignored_batch_has_no_loss_and_no_gradient(loss, dtype) -> None:
    logits = torch.randn(2, 3, 2, 2).to(dtype).requires_grad_()
    value = loss(logits, torch.full((2, 3, 3), 255))
    value.backward()
    assert value.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@each_loss
def test_an_ignored_image_adds_nothing(loss) -> None:
    logits, labels = tiny()
    alone = loss(logits[:1], labels[:1])
    labels[1] = 255
    torch.testing.assert_close(loss(logits, labels), alone)


@each_loss
def test_ignored_pixels_have_no_gradient(loss) -> None:
    logits, labels = tiny()
    loss(logits, labels).backward()
    assert torch.equal(logits.grad[:, :, -1], torch.zeros(2, 3, 3, dtype=torch.float64))
    assert logits.grad[:, :, :-1].abs().sum() > 0


@each_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_huge_logits_in_half_precision_stay_finite(loss, dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (2, 3, 2, 2), generator=generator) * 2 - 1
    logits = (1e4 * signs).to(dtype).requires_grad_()
    value = loss(logits, torch.randint(0, 3, (2, 4, 4), generator=generator))
    value.backward()
    assert value.dtype == torch.float32
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()


@each_loss
def test_low_logits_count_as_their_upsampling(loss) -> None:
    logits, labels = tiny((2, 2))
    up = torch.nn.functional.interpolate(logits, (3, 3), mode="bilinear", align_corners=False)
    torch.testing.assert_close(loss(logits, labels), loss(up, labels))


@each_loss
def test_right_answers_cost_less_than_wrong_ones(loss) -> None:
    _, labels = tiny()
    right = torch.nn.functional.one_hot(labels.clamp(max=2), 3).movedim(-1, 1) * 20.0
    assert loss(right, labels) < 0.35 * loss(-right, labels)


@each_loss
def test_nan_in_the_logits_shows(loss) -> None:
    logits, labels = tiny()
    with torch.no_grad():
        logits[0, 0, 0, 0] = float("nan")
    assert torch.isnan(loss(logits, labels))


@each_loss
def test_it_teaches_a_separable_toy(loss) -> None:
    """Three colours with noise and a 1x1 convolution: 30 steps bring the mIoU to 1."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 3, (2, 8, 8), generator=generator)
    images = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    images += 0.1 * torch.randn(images.shape, generator=generator)
    labels[0, 0, :4] = 255
    network = torch.nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        network.weight.copy_(-0.5 * torch.eye(3).view(3, 3, 1, 1))  # wrong everywhere
        network.bias.zero_()
    assert miou(network(images), labels) < 0.1
    optimiser = torch.optim.Adam(network.parameters(), 0.2)
    first = loss(network(images), labels).item()
    for _ in range(30):
        optimiser.zero_grad()
        loss(network(images), labels).backward()
        optimiser.step()
    assert loss(network(images), labels).item() < first
    assert miou(network(images), labels) == 1.0


def miou(logits, labels) -> float:
    matrix = ConfusionMatrix(3)
    matrix.add(labels.numpy(), logits.argmax(1).numpy())
    return matrix.miou()
