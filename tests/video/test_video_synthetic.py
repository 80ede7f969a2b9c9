"""The synthetic scene as a source."""

from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from rtseg.synthetic import Scene
from rtseg.video.generated import SyntheticSource
from rtseg.video.sources import open_source

SPEC = "synthetic:160x96@25"


def test_the_scene_is_described_by_its_name():
    with open_source(f"{SPEC}?frames=4&seed=3") as source:
        frames = list(source)
    info = source.info
    assert (info.kind, info.width, info.height, info.frames) == ("synthetic", 160, 96, 4)
    assert (info.rate, info.time_base, info.path) == (25, Fraction(1, 25), None)
    assert (info.inputs, source.names) == ((), None)
    assert [(frame.index, frame.pts) for frame in frames] == [(i, i) for i in range(4)]
    assert_array_equal(frames[2].image, Scene(160, 96, seed=3, fps=25).render(2)[0])


@pytest.mark.parametrize(
    ("spec", "limit", "expected"),
    [
        (SPEC, None, 300),
        (SPEC, 10_000, 10_000),
        (f"{SPEC}?frames=20", None, 20),
        (f"{SPEC}?frames=20", 10, 10),
        (f"{SPEC}?frames=20", 50, 20),
    ],
)
def test_the_scene_ends_somewhere(spec, limit, expected):
    with open_source(spec, max_frames=limit) as source:
        assert source.info.frames == expected


def test_the_limit_ends_an_endless_scene():
    with open_source(SPEC, max_frames=3, vid_stride=200) as source:
        assert [frame.index for frame in source] == [0, 200, 400]


def test_a_rate_may_be_a_fraction_and_is_30_by_default():
    with open_source("synthetic:160x96@29.97") as source:
        assert source.info.time_base == Fraction(100, 2997)
    with open_source("synthetic:160x96") as source:
        assert source.info.rate == 30


def test_the_labels_of_each_frame_are_exact():
    with open_source(f"{SPEC}?seed=5", vid_stride=2) as source:
        assert isinstance(source, SyntheticSource)
        scene = Scene(160, 96, seed=5, fps=25)
        for frame, labels in islice(source.frames_with_labels(), 3):
            image, truth = scene.render(frame.index)
            assert_array_equal(frame.image, image)
            assert_array_equal(labels, truth)
            assert labels.dtype == np.uint8
