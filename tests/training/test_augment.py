"""All augmentations together: seeded, independent, on the tensors' device, described by recipes."""

from __future__ import annotations

import os

import pytest

torch = pytest.importorskip("torch")

from batches import augmented, batch, seeded  # noqa: E402

from rtseg.errors import RecipeError  # noqa: E402
from rtseg.training.augmentation.apply import augment  # noqa: E402
from rtseg.training.augmentation.settings import AugmentSettings  # noqa: E402
from rtseg.training.recipe_files import load_recipe, shipped_recipes  # noqa: E402

GEOMETRIC = {
    "rotation": 20.0, "translation": 6, "perspective": 0.4, "elastic": 3.0, "flip": True,
}  # fmt: skip
OTHERS = {"gamma": 0.5, "colour": 0.4, "blur": 1.5, "noise": 0.1, "cutout": 0.4}
EVERYTHING = GEOMETRIC | OTHERS


def test_nothing_to_do_gives_the_same_pixels() -> None:
    images, labels = batch()
    pixels, ids = augmented(images, labels)
    torch.testing.assert_close(pixels, images.float() / 255, atol=1e-4, rtol=0)
    assert torch.equal(ids, labels.long())


def test_what_is_off_draws_nothing() -> None:
    """So that a recipe gives the same run when an augmentation is added to rtseg."""
    images, labels = batch(3)
    rng, same = seeded(), seeded()
    augment(images, labels, AugmentSettings(), rng, crop=(16, 16), scale=(0.5, 2.0))
    for columns in (4, 1, 6):  # zoom, angle and place; mirroring; colour
        torch.rand(3, columns, generator=same)
    assert torch.equal(rng.get_state(), same.get_state())


@pytest.mark.parametrize("kind", EVERYTHING)
def test_each_kind_changes_the_batch_and_follows_the_seed(kind: str) -> None:
    images, labels = batch(4)
    still, _ = augmented(images, labels)
    first, second, other = (
        augmented(images, labels, seed, **{kind: EVERYTHING[kind]}) for seed in (1, 1, 2)
    )
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[0], still)
    assert 0 <= float(first[0].min()) <= float(first[0].max()) <= 1


@pytest.mark.parametrize("kind", EVERYTHING)
def test_samples_of_a_batch_draw_for_themselves(kind: str) -> None:
    images, labels = batch(1)
    count = 16
    pixels, _ = augmented(
        images.expand(count, -1, -1, -1), labels.expand(count, -1, -1), **{kind: EVERYTHING[kind]}
    )
    different = len(torch.unique(pixels.flatten(1), dim=0))
    assert different == 2 if kind == "flip" else different > count // 2


@pytest.mark.parametrize("kind", ["perspective", "elastic", "blur", "noise", "cutout"])
def test_the_probability_is_the_share_of_changed_samples(kind: str) -> None:
    images, labels = batch(400, 6, 8)
    how = {kind: EVERYTHING[kind], "probability": 0.25}
    still, changed = augmented(images, labels), augmented(images, labels, **how)
    touched = (still[0] - changed[0]).abs().amax((1, 2, 3)) > 1e-3
    # Four standard deviations of a binomial of 400 draws.
    assert abs(float(touched.float().mean()) - 0.25) < 4 * (0.25 * 0.75 / 400) ** 0.5


@pytest.mark.parametrize("kind", GEOMETRIC)
def test_labels_are_never_interpolated(kind: str) -> None:
    images, _ = batch()
    labels = torch.zeros(2, 24, 32, dtype=torch.uint8)
    labels[:, :, 16:] = 10
    for seed in range(4):
        _, ids = augmented(images, labels, seed, scale=(0.7, 1.9), **{kind: GEOMETRIC[kind]})
        assert set(ids.unique().tolist()) <= {0, 10, 255}


def test_colours_do_not_touch_labels() -> None:
    images, labels = batch()
    values = {k: v for k, v in OTHERS.items() if k != "cutout"}
    assert torch.equal(augmented(images, labels, **values)[1], labels.long())


def test_everything_happens_on_the_device_of_the_images() -> None:
    """The device without memory refuses, as a GPU does, to mix its tensors with the CPU's."""
    images, labels = (tensor.to("meta") for tensor in batch(4))
    values = {k: v for k, v in EVERYTHING.items() if k != "noise"}  # it has no generator
    pixels, ids = augmented(images, labels, crop=(20, 28), **values)
    assert pixels.shape == (4, 3, 20, 28)
    assert pixels.device == ids.device == torch.device("meta")


@pytest.mark.gpu
def test_everything_happens_on_the_gpu() -> None:
    if not torch.cuda.is_available():
        require = pytest.fail if os.environ.get("RTSEG_REQUIRE_GPU") == "1" else pytest.skip
        require("no GPU")
    images, labels = batch(4)
    ours, theirs = (
        augmented(images.to(device), labels.to(device), **GEOMETRIC) for device in ("cpu", "cuda")
    )
    torch.testing.assert_close(ours[0], theirs[0].cpu(), atol=1e-2, rtol=0)
    pixels, _ = augmented(images.cuda(), labels.cuda(), **EVERYTHING)
    again, _ = augmented(images.cuda(), labels.cuda(), **EVERYTHING)
    assert torch.equal(pixels, again)


# Recipes


STRONG = {"rotation": 4.0, "perspective": 0.1, "colour": 0.4, "gamma": 0.3}
AS_TRAINED = {"dilanet-m-gpu": AugmentSettings(flip=True, **STRONG)}


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_augment_as_they_were_trained(name: str) -> None:
    light = AugmentSettings(flip=True, rotation=3.0, colour=0.35)
    assert load_recipe(name).augment == AS_TRAINED.get(name, light)


def test_an_override_changes_one_key_of_the_table() -> None:
    changed = load_recipe("dilanet-m", ["augment.rotation=10", "augment.elastic=4"]).augment
    assert changed == AugmentSettings(flip=True, rotation=10.0, colour=0.35, elastic=4.0)
    table = load_recipe("dilanet-m", ["augment={rotation=1}"]).augment
    assert table == AugmentSettings(flip=True, rotation=1.0, colour=0.35)


def test_the_strong_ones_are_off_by_default() -> None:
    on = {name for name, value in AugmentSettings().model_dump().items() if value}
    assert on == {"flip", "rotation", "colour", "elastic_grid", "probability"}


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("augment.rotate=3", "augment.rotate: .*not permitted"),
        ("augment.rotation=181", "augment.rotation: .*180, got 181"),
        ("augment.translation=1.5", "augment.translation: .*integer.*got 1.5"),
        ("augment.perspective=0.6", "augment.perspective"),
        ("augment.elastic=-1", "augment.elastic"),
        ("augment.elastic_grid=1", "augment.elastic_grid"),
        ("augment.gamma=inf", "augment.gamma: .*finite"),
        ("augment.colour=1.1", "augment.colour"),
        ("augment.blur=nan", "augment.blur: .*finite"),
        ("augment.noise=0.7", "augment.noise"),
        ("augment.cutout=1", "augment.cutout"),
        ("augment.probability=0", "augment.probability"),
        ("augment.flip=often", "augment.flip: .*got 'often'"),
        ("augment=3", "augment: "),
        ("rotation=3", "rotation"),
    ],
)
def test_wrong_keys_and_values_are_named(override: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        load_recipe("dilanet-m", [override])
