"""What goes into a network and comes out of it."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from rtseg.networks import build, entry  # noqa: E402
from rtseg.training.tensors import fitted  # noqa: E402


def test_a_size_that_fits_is_left_alone() -> None:
    images = torch.randn(1, 3, 40, 48)
    assert fitted(images, entry("dilanet-s")) is images


def test_another_size_is_resized_to_the_nearest() -> None:
    images = torch.rand(1, 3, 1, 1).expand(-1, -1, 90, 200)
    result = fitted(images, entry("segnet"))
    assert result.shape == (1, 3, 96, 192)
    torch.testing.assert_close(result, images[:, :, :1, :1].expand_as(result))


def test_a_margin_is_mirrored_and_the_logits_cover_the_image() -> None:
    row = entry("unet-valid")
    images = torch.randn(1, 3, 116, 132)
    result = fitted(images, row)
    assert result.shape == (1, 3, 300, 316)
    inside = result[..., row.margin : -row.margin, row.margin : -row.margin]
    assert torch.equal(inside, images)
    edge = row.margin
    assert torch.equal(result[..., edge - 3, edge:-edge], images[..., 3, :])
    with torch.device("meta"):
        logits = build(row.name, 2)(torch.empty(result.shape))
    assert logits.shape[2:] == images.shape[2:]
