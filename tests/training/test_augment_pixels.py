"""Values: blur, noise, gamma, cutout as stated."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from batches import seeded  # noqa: E402

from rtseg.training.augmentation.cutout import cutout  # noqa: E402
from rtseg.training.augmentation.pixels import (  # noqa: E402
    add_noise,
    blur,
    change_gamma,
    gaussian,
    jitter_colour,
)
from rtseg.training.tensors import normalise  # noqa: E402


def framed_noise(count: int = 3):
    """Noise in a grey frame that is wider than any filter here, so that no edge matters."""
    images = torch.full((count, 3, 60, 70), 0.5)
    images[:, :, 20:40, 20:50] = torch.rand(count, 3, 20, 30, generator=seeded(3))
    return images


def test_blur_keeps_constants() -> None:
    images = torch.rand(4, 3, 1, 1, generator=seeded()).expand(4, 3, 20, 24)
    torch.testing.assert_close(blur(images, 3.0, 1.0, seeded()), images)


def test_blur_keeps_the_mean_and_lowers_the_variance() -> None:
    images = framed_noise()
    soft = blur(images, 2.0, 1.0, seeded(1))
    torch.testing.assert_close(soft.mean((2, 3)), images.mean((2, 3)))
    assert (soft.var((2, 3)) < 0.7 * images.var((2, 3))).all()


def test_blur_of_a_pulse_is_the_gaussian_of_the_drawn_sigma() -> None:
    pulse = torch.zeros(2, 3, 41, 41)
    pulse[:, :, 20, 20] = 1
    soft = blur(pulse, 3.0, 1.0, seeded(2))
    sigma = torch.rand(2, 1, generator=seeded(2)) * 3.0
    at = torch.arange(-20, 21)
    spread = (soft[:, 0].sum(1) * at**2).sum(1).sqrt()
    torch.testing.assert_close(spread, sigma[:, 0], rtol=0.03, atol=0.02)
    torch.testing.assert_close(soft, soft.transpose(2, 3))


def test_the_filter_of_sigma_zero_is_a_pulse() -> None:
    assert gaussian(torch.zeros(1, 1), 2).tolist() == [[0, 0, 1, 0, 0]]


def test_noise_has_the_stated_deviation_and_no_mean() -> None:
    images = torch.full((4, 3, 64, 64), 0.5)
    noise = add_noise(images, 0.05, 1.0, seeded()) - images
    assert noise.std((1, 2, 3)).tolist() == pytest.approx([0.05] * 4, rel=0.04)
    assert float(noise.mean((1, 2, 3)).abs().max()) < 0.002
    across = torch.corrcoef(noise.flatten(2).flatten(0, 1))
    assert float((across - torch.eye(12)).abs().max()) < 0.1  # of channels and samples


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_gamma_stays_within_its_range_and_keeps_black_and_white(strength: float) -> None:
    images = torch.tensor([0.0, 0.5, 1.0]).expand(200, 3, 1, 3)
    values = change_gamma(images, strength, seeded())
    assert (values[..., 0] == 0).all()
    assert (values[..., 2] == 1).all()
    exponents = values[:, 0, 0, 1].log() / math.log(0.5)
    assert 1 / (1 + strength) <= float(exponents.min()) < 0.95
    assert 1.05 < float(exponents.max()) <= 1 + strength


def test_colour_keeps_the_range() -> None:
    values = jitter_colour(torch.rand(8, 3, 9, 9, generator=seeded()), 1.0, seeded(1))
    assert 0 <= float(values.min()) < float(values.max()) <= 1


@pytest.mark.parametrize(("share", "side"), [(0.5, 12), (0.25, 6), (0.9, 22)])
def test_cutout_is_one_square_of_the_stated_size(share: float, side: int) -> None:
    images, labels = torch.rand(20, 3, 24, 32, generator=seeded()), torch.ones(20, 24, 32).long()
    pixels, ids = cutout(images, labels, share, 1.0, seeded(1))
    hidden = ids == 255
    assert hidden.sum((1, 2)).tolist() == [side * side] * 20
    assert hidden.any(2).sum(1).tolist() == [side] * 20  # rows
    assert hidden.any(1).sum(1).tolist() == [side] * 20  # columns
    assert torch.equal(pixels.movedim(1, -1)[~hidden], images.movedim(1, -1)[~hidden])
    grey = normalise(pixels).movedim(1, -1)[hidden]
    torch.testing.assert_close(grey, torch.zeros_like(grey), atol=1e-6, rtol=0)
    assert len({tuple(h.nonzero()[0].tolist()) for h in hidden}) > 1


def test_cutout_leaves_other_samples_whole() -> None:
    images, labels = torch.rand(50, 3, 8, 8), torch.ones(50, 8, 8).long()
    pixels, ids = cutout(images, labels, 0.5, 0.5, seeded())
    counts = (ids == 255).sum((1, 2))
    assert set(counts.tolist()) == {0, 16}
    assert torch.equal(pixels[counts == 0], images[counts == 0])
