"""Images as batches: resident or streamed, fitted to a size, mixed with rendered frames."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from made_runs import PLAIN, STILL, make_camvid, recipe  # noqa: E402

from rtseg.errors import RecipeError  # noqa: E402
from rtseg.training.datasets import Sample  # noqa: E402
from rtseg.training.fitting import fit  # noqa: E402
from rtseg.training.mixture import Joined, open_training  # noqa: E402
from rtseg.training.sources import Resident, Streamed, open_source  # noqa: E402
from rtseg.training.train import Trainer  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _no_shared_tensors():
    """torch's table of tensors from other processes complains if it outlives torch."""
    yield
    torch.multiprocessing.reductions.shared_cache.clear()


class Listed:
    """Samples of given sizes; pixel values and labels are their number."""

    def __init__(self, *sizes: tuple[int, int]) -> None:
        self.sizes = sizes
        self.names = [f"image {i}" for i in range(len(sizes))]

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, i: int) -> Sample:
        image = np.full((*self.sizes[i], 3), i, np.uint8)
        image[..., 0] = 100  # blue
        return Sample(self.names[i], image, np.full(self.sizes[i], i, np.uint8))


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_batches_are_those_of_the_device(workers) -> None:
    samples = Listed(*[(6, 8)] * 5)
    resident = open_source(samples, recipe(residence="device"), CPU)
    streamed = open_source(samples, recipe(residence="stream", workers=workers), CPU)
    assert isinstance(resident, Resident)
    assert isinstance(streamed, Streamed)
    for groups in ([[3, 1], [0, 4]], [[2, 2]]):  # two epochs
        both = zip(resident.batches(groups), streamed.batches(groups), strict=True)
        for group, (a, b) in zip(groups, both, strict=True):
            assert torch.equal(a[0], b[0])
            assert torch.equal(a[1], b[1])
            assert a[1][:, 0, 0].tolist() == group
            assert a[0][:, :, 0, 0].tolist() == [[i, i, 100] for i in group]  # RGB
    assert resident.counts(5).pixels.tolist() == streamed.counts(5).pixels.tolist() == [48] * 5


def test_images_that_do_not_fit_into_memory_are_streamed(monkeypatch) -> None:
    samples = Listed((6, 8), (6, 8))
    need = 2 * 4 * 6 * 8
    monkeypatch.setattr("rtseg.training.sources.free_bytes", lambda _: need / 0.4 + 1)
    assert isinstance(open_source(samples, recipe(), CPU), Resident)
    monkeypatch.setattr("rtseg.training.sources.free_bytes", lambda _: need / 0.4 - 1)
    assert isinstance(open_source(samples, recipe(), CPU), Streamed)


def test_images_of_several_sizes_need_a_size() -> None:
    samples = Listed((6, 8), (12, 8))
    with pytest.raises(RecipeError, match=r"image 1 is 8x12, others are 8x6; set size"):
        open_source(samples, recipe(residence="device"), CPU)
    source = open_source(samples, recipe(size=(6, 8)), CPU)
    ((_, labels),) = source.batches([[0, 1]])
    assert (labels[0] == 0).all()
    assert (labels[1, :, :4] == 1).all()  # 12x8 becomes 6x4
    assert (labels[1, :, 4:] == 255).all()


@pytest.mark.parametrize(("shape", "inside"), [((40, 60), (20, 30)), ((10, 10), (20, 20))])
def test_fitting_keeps_the_shape(shape, inside) -> None:
    labels = np.zeros(shape, np.uint8)
    labels[shape[0] // 2 :] = 7
    fitted = fit(Sample("a", np.full((*shape, 3), 90, np.uint8), labels), (20, 40))
    height, width = inside
    assert fitted.image.shape == (20, 40, 3)
    assert (fitted.image[:height, :width] == 90).all()
    assert set(np.unique(fitted.labels[:height, :width])) == {0, 7}
    assert (fitted.labels[: height // 2, :width] == 0).all()
    assert (fitted.labels[:, width:] == 255).all()
    assert (fitted.image[:, width:] == 0).all()


def test_parts_are_numbered_one_after_the_other() -> None:
    joined = Joined([Listed((2, 2)), Listed((3, 3), (4, 4))])
    assert len(joined) == 3
    assert [joined[i].labels.shape[0] for i in range(3)] == [2, 3, 4]
    assert list(joined.names) == ["image 0", "image 0", "image 1"]


def test_the_mixture_of_a_recipe(tmp_path) -> None:
    data = make_camvid(tmp_path / "c")
    samples, classes = open_training(recipe(splits=["train", "val::2"], rendered=3), data)
    assert len(samples) == 4 + 2 + 3
    assert samples[8].image.shape == samples[0].image.shape
    assert classes.name == "camvid-11"
    with pytest.raises(RecipeError, match="the recipe expects cityscapes-19"):
        open_training(recipe(classes="cityscapes-19"), data)


def test_a_streamed_run_learns_what_a_resident_one_does(tmp_path) -> None:
    data = make_camvid(tmp_path / "c")
    kept = []
    for residence in ("device", "stream"):
        settings = recipe(residence=residence, workers=1, epochs=2, augment=PLAIN, stages=STILL)
        trainer = Trainer(settings, data, tmp_path / residence)
        rows = list(trainer.train())
        assert all(0 <= row["waiting"] <= 1 for row in rows)
        kept.append(trainer.network.state_dict())
    for name, value in kept[0].items():
        assert torch.equal(value, kept[1][name]), name
