"""A decoder's planes into a picture's, against numpy; run as device_drawing.py is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_cases import Padded, watch_launches
from numba import cuda
from numpy.typing import NDArray

from rtseg.kernels import cuda as kernels


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    watch_launches(monkeypatch)


def decoded(height: int, width: int, kind: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(height)
    half = (height + 1) // 2, (width + 1) // 2, 2
    luma, chroma = (
        rng.integers(0, np.iinfo(kind).max + 1, size, kind) for size in ((height, width), half)
    )
    luma.flat[0] = np.iinfo(kind).max  # rounds to 256, which no byte is
    return luma, chroma


def copied(
    planes: tuple[NDArray[Any], ...], extra: tuple[int, int] = (0, 0)
) -> list[NDArray[np.uint8]]:
    """extra: columns between the rows of what is read and of what is written."""
    sources = [Padded(plane, extra[0]) for plane in planes]
    out = [Padded(np.zeros(plane.shape, np.uint8), extra[1]) for plane in planes]
    stream = cuda.stream()
    kernels.copy_planes(
        tuple(source.array for source in sources), tuple(o.array for o in out), stream=stream
    )
    stream.synchronize()
    for source, plane in zip(sources, planes, strict=True):
        np.testing.assert_array_equal(source.read(), plane)
    return [o.read() for o in out]


SIZES = [(24, 40), (17, 33), (1, 1)]


@pytest.mark.parametrize("extra", [(0, 0), (16, 24), (3, 1)])
@pytest.mark.parametrize("size", SIZES)
def test_bytes_are_copied(size: tuple[int, int], extra: tuple[int, int]) -> None:
    planes = decoded(*size, np.uint8)
    for got, want in zip(copied(planes, extra), planes, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("extra", [(0, 0), (16, 24)])
@pytest.mark.parametrize("size", SIZES)
def test_words_are_rounded_to_bytes(size: tuple[int, int], extra: tuple[int, int]) -> None:
    planes = decoded(*size, np.uint16)
    for got, words in zip(copied(planes, extra), planes, strict=True):
        np.testing.assert_array_equal(got, np.minimum((words.astype(int) + 128) >> 8, 255))


def test_samples_that_are_apart_are_refused() -> None:
    luma, chroma = (cuda.to_device(plane) for plane in decoded(8, 16, np.uint8))
    out = tuple(cuda.to_device(np.zeros(size, np.uint8)) for size in ((8, 8), (4, 8, 2)))
    with pytest.raises(ValueError, match="plane 0 of the decoder"):
        kernels.copy_planes((luma[:, ::2], chroma), out, stream=cuda.stream())
