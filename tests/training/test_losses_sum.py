"""The losses of a recipe: what it may say, and that the sum is what it says."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rtseg.classes import CAMVID  # noqa: E402
from rtseg.errors import RecipeError  # noqa: E402
from rtseg.training.class_weights import (  # noqa: E402
    count_classes,
    inverse_frequency_weights,
    log_frequency_weights,
    median_frequency_weights,
)
from rtseg.training.loss_regions import lovasz_softmax, soft_dice  # noqa: E402
from rtseg.training.loss_sum import LossSum  # noqa: E402
from rtseg.training.losses import cross_entropy, focal, ohem_cross_entropy  # noqa: E402
from rtseg.training.recipe_files import load_recipe, shipped_recipes  # noqa: E402
from rtseg.training.targets import border_weights, one_hot  # noqa: E402

CAR, PEDESTRIAN = 8, 9


@pytest.fixture
def batch():
    """Logits (2, 11, 4, 5) and labels (2, 8, 10) of road with two cars and a pedestrian."""
    torch.manual_seed(0)
    labels = torch.full((2, 8, 10), 3)
    labels[:, 2:5, 1:4] = labels[0, 2:5, 5:8] = CAR
    labels[1, 1:4, 7] = PEDESTRIAN
    labels[:, 0] = 255
    return torch.randn(2, 11, 4, 5), labels


def counts_of(labels):
    return count_classes(labels.numpy(), len(CAMVID))


def loss_of(losses: str, labels) -> LossSum:
    recipe = load_recipe("dilanet-s", [f"losses={losses}"])
    return LossSum(recipe.losses, counts_of(labels), CAMVID)


def table(scheme, labels, **settings):
    return torch.from_numpy(scheme(counts_of(labels), **settings))


def test_two_terms_make_the_weighted_sum(batch) -> None:
    logits, labels = batch
    losses = """[
        { name = "cross_entropy", weight = 1.0, class_weights = "log" },
        { name = "lovasz", weight = 0.5 },
    ]"""
    weights = table(log_frequency_weights, labels)
    by_hand = cross_entropy(logits, labels, weights) + 0.5 * lovasz_softmax(logits, labels)
    torch.testing.assert_close(loss_of(losses, labels)(logits, labels), by_hand)


def bordered(logits, labels):
    weights = log_frequency_weights(counts_of(labels))
    maps = [
        border_weights(m, (CAR, PEDESTRIAN), w0=6.0, sigma=2.0, class_weights=weights)
        for m in labels.numpy()
    ]
    return cross_entropy(logits, labels, pixel_weights=torch.from_numpy(np.stack(maps)))


TERMS = {
    '{ name = "cross_entropy" }': cross_entropy,
    '{ name = "cross_entropy", smoothing = 0.1, class_weights = "median" }': lambda x, y: (
        cross_entropy(x, y, table(median_frequency_weights, y), smoothing=0.1)
    ),
    '{ name = "cross_entropy", class_weights = "log", offset = 1.02 }': lambda x, y: cross_entropy(
        x, y, table(log_frequency_weights, y, offset=1.02)
    ),
    '{ name = "cross_entropy", class_weights = "log", border = { w0 = 6, sigma = 2, '
    'things = ["car", "pedestrian"] } }': bordered,
    '{ name = "focal", gamma = 3, class_weights = "inverse" }': lambda x, y: focal(
        x, y, table(inverse_frequency_weights, y), gamma=3.0
    ),
    '{ name = "ohem", threshold = 0.2, min_kept = 5 }': lambda x, y: ohem_cross_entropy(
        x, y, threshold=0.2, min_kept=5
    ),
    '{ name = "dice", squared = true, smooth = 0.5, per_image = true }': lambda x, y: soft_dice(
        x, y, squared=True, smooth=0.5, per_image=True
    ),
    '{ name = "lovasz", per_image = true }': lambda x, y: lovasz_softmax(x, y, per_image=True),
}


@pytest.mark.parametrize(("term", "by_hand"), TERMS.items(), ids=TERMS.keys())
def test_a_term_has_the_settings_of_the_recipe(batch, term, by_hand) -> None:
    logits, labels = batch
    loss = loss_of(f"[{term}]", labels)(logits, labels)
    torch.testing.assert_close(loss, by_hand(logits, labels))


def test_the_border_raises_the_share_of_the_gap(batch) -> None:
    _, labels = batch
    logits = 9.0 * one_hot(labels, 11)
    logits[0, :, 2:5, 4] = 0.0  # no answer between the two cars, right answers elsewhere
    plain = loss_of('[{ name = "cross_entropy" }]', labels)
    border = loss_of('[{ name = "cross_entropy", border = { w0 = 10, sigma = 2 } }]', labels)
    assert border(logits, labels) > 2 * plain(logits, labels)


def test_an_all_ignored_batch_is_0(batch) -> None:
    logits, labels = batch
    terms = ", ".join(TERMS)
    logits.requires_grad_()
    loss = loss_of(f"[{terms}]", labels)(logits, torch.full_like(labels, 255))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_take_log_weighted_cross_entropy_and_lovasz(batch, name) -> None:
    logits, labels = batch
    recipe = load_recipe(name)
    loss = LossSum(recipe.losses, counts_of(labels), CAMVID)(logits, labels)
    by_hand = cross_entropy(logits, labels, table(log_frequency_weights, labels))
    torch.testing.assert_close(loss, by_hand + 0.7 * lovasz_softmax(logits, labels))
    assert recipe.losses[:1] == type(recipe).model_fields["losses"].default


def test_recipes_survive_their_own_json() -> None:
    recipe = load_recipe("dilanet-s", [f"losses=[{', '.join(TERMS)}]"])
    assert type(recipe).model_validate_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize(
    ("losses", "says"),
    [
        ('[{ name = "hinge" }]', r"losses\.0.*'hinge'.*'lovasz'"),
        ("[{ weight = 1.0 }]", r"losses\.0.*name"),
        ("[]", "losses"),
        ('[{ name = "lovasz" }, { name = "focal", gama = 2 }]', r"losses\.1\.focal\.gama"),
        ('[{ name = "lovasz", weight = -0.5 }]', r"losses\.0\.lovasz\.weight"),
        ('[{ name = "lovasz", weight = 0 }]', r"losses\.0\.lovasz\.weight"),
        ('[{ name = "lovasz", weight = inf }]', r"losses\.0\.lovasz\.weight"),
        ('[{ name = "lovasz", class_weights = "log" }]', r"losses\.0\.lovasz\.class_weights"),
        ('[{ name = "ohem", class_weights = "rare" }]', r"class_weights.*'median'"),
        ('[{ name = "focal", class_weights = "log", offset = 1.0 }]', r"offset"),
        ('[{ name = "focal", class_weights = "median", offset = 1.1 }]', r'class_weights = "log"'),
        ('[{ name = "cross_entropy", border = { sigma = 0 } }]', r"border\.sigma"),
        ('[{ name = "cross_entropy", border = { sigmas = 1 } }]', r"border\.sigmas"),
    ],
)
def test_wrong_losses_are_recipe_errors_that_name_the_key(losses, says) -> None:
    with pytest.raises(RecipeError, match=says):
        load_recipe("dilanet-s", [f"losses={losses}"])


def test_class_weights_of_the_recipe_itself_are_gone() -> None:
    with pytest.raises(RecipeError, match="class_weights"):
        load_recipe("dilanet-s", ["class_weights=true"])


def test_things_must_be_classes(batch) -> None:
    losses = '[{ name = "cross_entropy", border = { things = ["cow"] } }]'
    with pytest.raises(RecipeError, match=r"border\.things.*'cow'.*pedestrian"):
        loss_of(losses, batch[1])
