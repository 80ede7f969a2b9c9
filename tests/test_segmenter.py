"""Segmenter and engine: labels at the frame's size, the same from every thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from rtseg.backends import build_engine
from rtseg.errors import EngineError, InputError
from rtseg.frame import Frame, Yuv420
from rtseg.kernels import cpu
from rtseg.segmenter import Segmenter
from rtseg.synthetic import Scene


@pytest.fixture(scope="module")
def segmenter(model):
    with Segmenter(model, size=(240, 184)) as made:
        yield made


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return Scene(320, 240, seed=3).render(10)[0]


def test_labels_have_the_frame_size_and_known_ids(segmenter, image) -> None:
    result = segmenter(image)
    assert result.labels.shape == image.shape[:2]
    assert result.labels.dtype == np.uint8
    assert result.valid
    assert set(np.unique(result.labels)) <= set(range(11))
    assert set(result.timings) == {"preprocess", "inference", "postprocess"}
    assert sum(result.fractions().values()) == pytest.approx(1)


def test_a_trained_model_finds_the_road_of_a_rendered_street(segmenter) -> None:
    image, truth = Scene(480, 360, seed=3).render(10)
    labels = segmenter(image).labels
    road = truth == 3
    assert (labels[road] == 3).mean() > 0.8


def test_planes_and_bgr_agree(segmenter, image) -> None:
    height, width = image.shape[:2]
    planes = Yuv420(
        np.empty((height, width), np.uint8),
        np.empty((height // 2, width // 2), np.uint8),
        np.empty((height // 2, width // 2), np.uint8),
    )
    cpu.from_bgr(image, planes)
    agree = (segmenter(Frame(planes)).labels == segmenter(image).labels).mean()
    assert agree > 0.95  # chroma has half the resolution


@pytest.mark.parametrize("size", [(1, 1), (3, 201), (199, 2), (97, 61)])
def test_any_frame_size_works(segmenter, size) -> None:
    frame = np.full((size[1], size[0], 3), 90, np.uint8)
    assert segmenter(frame).labels.shape == (size[1], size[0])


def test_workers_in_threads_agree_with_one(model, image) -> None:
    with Segmenter(model, size=(240, 184), streams=2) as many:
        expected = many(image).labels

        def work(_: int) -> bool:
            worker = many.worker(320, 240)
            return all(
                np.array_equal(worker.segment(Frame(image)).labels, expected) for _ in range(5)
            )

        with ThreadPoolExecutor(2) as pool:
            assert all(pool.map(work, range(2)))


def test_time_is_carried_over(segmenter, image) -> None:
    result = segmenter(Frame(image, index=7, pts=1234))
    assert (result.index, result.pts) == (7, 1234)


def test_the_first_frame_decides_on_the_input_size(model) -> None:
    with Segmenter(model) as made:
        made(np.zeros((90, 160, 3), np.uint8))
        assert made.size == (552, 312)


def test_stream_yields_frames_with_labels(segmenter) -> None:
    pairs = list(segmenter.stream("synthetic:160x120@30", max_frames=3))
    assert [frame.index for frame, _ in pairs] == [0, 1, 2]
    assert all(s.labels.shape == (120, 160) for _, s in pairs)


def test_not_finite_logits_give_no_answer(segmenter, image, monkeypatch) -> None:
    worker = segmenter.worker(320, 240)
    logits = worker._context.run().copy()
    logits[4, 3, 2] = np.nan
    monkeypatch.setattr(worker._context, "run", lambda: logits)
    result = worker.segment(Frame(image))
    assert not result.valid
    assert (result.labels == 255).all()


def test_unknown_backend_and_precision(model) -> None:
    with pytest.raises(InputError, match="unknown backend 'abacus'"):
        build_engine(model, (240, 184), backend="abacus")
    with pytest.raises(EngineError, match="precision 'f8'"):
        build_engine(model, (240, 184), precision="f8")  # type: ignore[arg-type]


def test_a_refused_size(model) -> None:
    with pytest.raises(InputError, match="multiples of 8"):
        Segmenter(model, size=(241, 184))


def test_images_of_another_kind_are_refused(segmenter) -> None:
    with pytest.raises(ValueError, match="expected"):
        segmenter(np.zeros((4, 4), np.uint8))
