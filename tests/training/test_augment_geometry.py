"""Geometry: exact for whole pixels, the same for image and labels, ignored outside."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from batches import augmented, batch, only, ramps, seeded  # noqa: E402

from rtseg.training.augmentation.elastic import displacements  # noqa: E402
from rtseg.training.augmentation.geometry import (  # noqa: E402
    Motion,
    affine,
    draw_motion,
    sample,
    sampling_grid,
)

CPU = torch.device("cpu")
MOVES = [
    {"rotation": 30.0}, {"translation": 9}, {"perspective": 0.5}, {"elastic": 4.0}, {"flip": True},
    {"elastic": 2.0, "elastic_grid": 6},
    {"rotation": 10.0, "translation": 5, "perspective": 0.3, "elastic": 3.0, "flip": True},
]  # fmt: skip


def motion(zoom=1.0, angle=0.0, mirror=1.0, x=0.0, y=0.0) -> Motion:
    return Motion(*(torch.tensor([float(v)]) for v in (zoom, angle, mirror, x, y)))


def moved(images, labels, how: Motion, crop=None):
    """A batch of one through `affine` and `sample` only."""
    size = tuple(images.shape[-2:])
    theta = affine(how, size, crop or size)
    grid = sampling_grid(theta, only(), seeded(), crop=crop or size, device=CPU)
    return sample(images, labels, grid)


@pytest.mark.parametrize(("dx", "dy"), [(3, 0), (0, -5), (7, 2), (-4, 6)])
def test_a_shift_by_whole_pixels_is_exact(dx: int, dy: int) -> None:
    images, labels = batch(1)
    pixels, ids = moved(images, labels, motion(x=dx, y=dy))
    expected = torch.full_like(ids, 255)
    rows = slice(max(0, -dy), min(24, 24 - dy))
    columns = slice(max(0, -dx), min(32, 32 - dx))
    source = (
        slice(rows.start + dy, rows.stop + dy),
        slice(columns.start + dx, columns.stop + dx),
    )
    expected[:, rows, columns] = labels[:, *source].long()
    assert torch.equal(ids, expected)
    inside = pixels[:, :, rows, columns] * 255
    torch.testing.assert_close(inside, images[:, :, *source].float(), atol=0.02, rtol=0)


def test_a_quarter_turn_is_exact_and_anticlockwise() -> None:
    images, labels = batch(1, 20, 20)
    pixels, ids = moved(images, labels, motion(angle=math.pi / 2))
    assert torch.equal(ids, labels.long().rot90(1, (1, 2)))
    expected = images.float().rot90(1, (2, 3))
    torch.testing.assert_close(pixels * 255, expected, atol=0.02, rtol=0)


def test_mirroring_comes_after_the_turn() -> None:
    images, labels = batch(1, 20, 20)
    _, ids = moved(images, labels, motion(angle=math.pi / 2, mirror=-1))
    assert torch.equal(ids, labels.long().rot90(1, (1, 2)).flip(2))


def test_zoom_two_doubles_every_pixel() -> None:
    images, labels = batch(1)
    _, ids = moved(images, labels, motion(zoom=2.0), crop=(48, 64))
    doubled = labels.long().repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert torch.equal(ids, doubled)


def test_mirroring_takes_half_of_the_samples() -> None:
    images, labels = batch(16)
    _, ids = augmented(images, labels, 1, flip=True)
    straight = [torch.equal(a, b.long()) for a, b in zip(ids, labels, strict=True)]
    mirrored = [torch.equal(a, b.long().flip(1)) for a, b in zip(ids, labels, strict=True)]
    assert all(s != m for s, m in zip(straight, mirrored, strict=True))
    assert 0 < sum(mirrored) < 16


def test_translation_is_whole_pixels_of_the_crop_up_to_the_limit() -> None:
    how = only(translation=3)
    drawn = draw_motion(500, how, seeded(), size=(24, 32), crop=(24, 32), scale=(0.5, 0.5))
    for shift in (drawn.x * 0.5, drawn.y * 0.5):
        assert set(shift.tolist()) == {-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0}
    assert not torch.equal(drawn.x, drawn.y)


def test_the_crop_stays_inside_without_translation() -> None:
    images, labels = batch(32)
    pixels, ids = augmented(images, labels, crop=(8, 10), scale=(0.5, 2.0))
    assert pixels.shape == (32, 3, 8, 10)
    assert int(ids.max()) < 11


def test_outside_a_shrunken_image_labels_are_ignored() -> None:
    images, labels = batch()
    pixels, ids = augmented(images, labels, scale=(0.5, 0.5))
    assert (ids[:, :5] == 255).all()
    assert (ids[:, 7:17, 9:23] != 255).all()
    assert torch.isfinite(pixels).all()


@pytest.mark.parametrize("how", MOVES, ids="+".join)
def test_image_and_labels_move_by_the_same_field(how: dict) -> None:
    """On a ramp the bilinear value is the place it came from, and the id the nearest place."""
    images = ramps(8)
    for channel in range(2):
        pixels, ids = augmented(images, images[:, channel], scale=(0.8, 1.5), **how)
        known = ids != 255
        distance = (pixels[:, channel] * 255 - ids)[known].abs()
        assert known.float().mean() > 0.5
        assert float(distance.max()) < 0.51


@pytest.mark.parametrize("how", MOVES, ids="+".join)
def test_exactly_what_comes_from_outside_is_ignored(how: dict) -> None:
    images, labels = batch(16, 48, 64)
    settings, rng, size = only(**how), seeded(), (48, 64)
    drawn = draw_motion(16, settings, rng, size=size, crop=size, scale=(0.8, 1.0))
    theta = affine(drawn, size, size)
    grid = sampling_grid(theta, settings, rng, crop=size, device=CPU)
    _, ids = sample(images, labels, grid)
    reach = grid.abs().amax(-1)
    assert (reach > 1.001).any()
    assert (ids[reach > 1.001] == 255).all()
    assert (ids[reach < 0.999] != 255).all()


def test_the_composed_grid_goes_over_into_the_affine_one() -> None:
    size = (24, 32)
    theta = affine(motion(zoom=1.3, angle=0.4, mirror=-1, x=3, y=-2), size, size)
    plain = sampling_grid(theta, only(), seeded(), crop=size, device=CPU)
    for tiny in ({"perspective": 1e-7}, {"elastic": 1e-5}):
        grid = sampling_grid(theta, only(**tiny), seeded(), crop=size, device=CPU)
        torch.testing.assert_close(grid, plain, atol=1e-5, rtol=0)


def test_perspective_keeps_the_middle_and_bounds_the_zoom() -> None:
    size, how = (49, 65), only(perspective=0.4)
    theta = affine(Motion(*(v.expand(64) for v in motion())), size, size)
    grid = sampling_grid(theta, how, seeded(), crop=size, device=CPU)
    straight = sampling_grid(theta, only(), seeded(), crop=size, device=CPU)
    torch.testing.assert_close(grid[:, 24, 32], torch.zeros(64, 2), atol=1e-6, rtol=0)
    corner = (straight[:, 0, 0] / grid[:, 0, 0])[:, 0]  # the depth there
    assert ((corner >= 0.6) & (corner <= 1.4)).all()
    assert corner.max() > 1.2
    assert corner.min() < 0.8


def test_straight_lines_stay_straight_in_perspective() -> None:
    size = (33, 33)
    theta = affine(Motion(*(v.expand(4) for v in motion())), size, size)
    grid = sampling_grid(theta, only(perspective=0.5), seeded(), crop=size, device=CPU)
    start, end = grid[:, 10, :1], grid[:, 10, -1:]  # a row of the crop
    along, offset = end - start, grid[:, 10] - start
    cross = along[..., 0] * offset[..., 1] - along[..., 1] * offset[..., 0]
    assert float(cross.abs().max()) < 1e-5
    assert float(along[..., 1].abs().max()) > 0.05  # it is not simply level


def test_elastic_of_sigma_zero_is_the_identity() -> None:
    images, labels = batch()
    still, moved_ = augmented(images, labels), augmented(images, labels, elastic=0.0)
    assert torch.equal(still[0], moved_[0])
    field = displacements(2, only(elastic=0.0), seeded(), crop=(24, 32), device=CPU)
    assert torch.equal(field, torch.zeros(2, 24, 32, 2))


def test_elastic_displacements_are_as_stated_at_the_coarse_points() -> None:
    field = displacements(2000, only(elastic=5.0), seeded(), crop=(25, 33), device=CPU)
    pixels = field * torch.tensor([33 / 2, 25 / 2])
    points = pixels[:, ::12, ::16]  # the corners, the middles of the sides, the middle
    assert points.shape == (2000, 3, 3, 2)
    deviation, mean = points.std(0), points.mean(0)
    torch.testing.assert_close(deviation, torch.full((3, 3, 2), 5.0), atol=0, rtol=0.08)
    assert float(mean.abs().max()) < 0.5
    assert abs(float(torch.corrcoef(points.flatten(1).T)[0, 1:].abs().max())) < 0.1


def test_elastic_displacements_are_smooth() -> None:
    field = displacements(8, only(elastic=5.0), seeded(), crop=(60, 80), device=CPU)
    bends = field.diff(dim=2).diff(dim=2).abs().max()
    assert float(bends) < 0.02 * float(field.abs().max())
