"""Augmentation: exact where it can be, ignore outside, seeded."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from rtseg.training.augment import Augmentation, augment  # noqa: E402

STILL = Augmentation(scale=(1.0, 1.0), rotation=0.0, flip=False, colour=0.0)


def batch(count: int = 2, height: int = 24, width: int = 32):
    rng = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (count, 3, height, width), generator=rng, dtype=torch.uint8)
    labels = torch.randint(0, 11, (count, height, width), generator=rng, dtype=torch.uint8)
    return images, labels


def seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def test_nothing_to_do_gives_the_same_pixels() -> None:
    images, labels = batch()
    pixels, ids = augment(images, labels, (24, 32), STILL, seeded())
    torch.testing.assert_close(pixels, images.float() / 255, atol=1e-4, rtol=0)
    assert torch.equal(ids, labels.long())


def test_a_crop_is_a_part_of_the_image() -> None:
    _, labels = batch(1)
    image = (torch.arange(24 * 32) % 256).to(torch.uint8).view(1, 1, 24, 32).expand(1, 3, 24, 32)
    pixels, ids = augment(image, labels, (8, 10), STILL, seeded(3))
    assert pixels.shape == (1, 3, 8, 10)
    assert set(ids.unique().tolist()) <= set(range(11))
    # Neighbours keep their distance: one pixel to the right is one more.
    step = (pixels[0, 0, :, 1:] - pixels[0, 0, :, :-1]) * 255
    assert ((step - 1).abs() < 1e-2).float().mean() > 0.9


def test_mirroring_moves_labels_with_pixels() -> None:
    images, labels = batch(16)
    flip = Augmentation(scale=(1.0, 1.0), rotation=0.0, flip=True, colour=0.0)
    _, ids = augment(images, labels, (24, 32), flip, seeded(1))
    straight = [torch.equal(a, b.long()) for a, b in zip(ids, labels, strict=True)]
    mirrored = [torch.equal(a, b.long().flip(1)) for a, b in zip(ids, labels, strict=True)]
    assert all(s != m for s, m in zip(straight, mirrored, strict=True))
    assert 0 < sum(mirrored) < 16


def test_outside_the_image_labels_are_ignored() -> None:
    images, labels = batch()
    shrink = Augmentation(scale=(0.5, 0.5), rotation=0.0, flip=False, colour=0.0)
    pixels, ids = augment(images, labels, (24, 32), shrink, seeded())
    assert (ids[:, :5] == 255).all()
    assert (ids[:, 7:17, 9:23] != 255).all()
    assert torch.isfinite(pixels).all()


def test_labels_are_never_interpolated() -> None:
    images, _ = batch()
    labels = torch.zeros(2, 24, 32, dtype=torch.uint8)
    labels[:, :, 16:] = 10
    how = Augmentation(scale=(0.7, 1.9), rotation=20.0, flip=True, colour=0.0)
    _, ids = augment(images, labels, (24, 32), how, seeded())
    assert set(ids.unique().tolist()) <= {0, 10, 255}


def test_a_seed_reproduces_and_another_differs() -> None:
    images, labels = batch()
    how = Augmentation()
    first, second, other = (
        augment(images, labels, (20, 20), how, seeded(seed))[0] for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert 0 <= float(first.min()) <= float(first.max()) <= 1
