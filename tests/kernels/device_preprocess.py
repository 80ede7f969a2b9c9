"""The network's input against the reference. Run by test_cuda_simulated.py, and on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_cases import DeviceCase, watch_launches
from kernel_cases import MATRICES, random_bytes, random_planes
from numba import cuda
from numpy.typing import NDArray

from rtseg.frame import ColourMatrix, DevicePicture, Layout, Picture, Yuv420
from rtseg.kernels import cuda as kernels
from rtseg.kernels import reference
from rtseg.kernels.tables import rgb_from_yuv

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF_UNIT = {np.float16: 2.0**-11, np.float32: 0}


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    watch_launches(monkeypatch)


def picture(layout: Layout, height: int, width: int, *colours: Any) -> Picture:
    rng = np.random.default_rng(height * width)
    if layout == "bgr":
        return random_bytes(rng, height, width, 3)
    return random_planes(rng, height, width, *(colours or ("bt709", False)))


def tensor(case: DevicePicture, size: tuple[int, int], dtype: Any) -> NDArray[Any]:
    out, stream = cuda.to_device(np.full((3, *size), np.nan, dtype)), cuda.stream()
    kernels.preprocess(case, out, MEAN, STD, stream=stream)
    stream.synchronize()
    result: NDArray[Any] = out.copy_to_host()
    return result


def assert_close(got: NDArray[Any], want: NDArray[np.float32]) -> None:
    """As close as one rounding to the type of `got` and float32 arithmetic allow."""
    np.testing.assert_allclose(
        got.astype(np.float32), want, rtol=HALF_UNIT[got.dtype.type], atol=2e-5
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("layout", ["nv12", "p010", "i420", "bgr"])
@pytest.mark.parametrize(
    ("source", "size", "extra"),
    [((32, 48), (16, 24), 0), ((31, 47), (13, 37), 3), ((9, 11), (33, 18), 4), ((1, 1), (2, 3), 1)],
)
def test_equals_the_reference(
    layout: Layout, source: tuple[int, int], size: tuple[int, int], extra: int, dtype: Any
) -> None:
    image = picture(layout, *source)
    want = np.empty((3, *size), np.float32)
    reference.preprocess(image, want, MEAN, STD)
    assert_close(tensor(DeviceCase(image, layout, extra).picture, size, dtype), want)


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("full_range", [False, True])
def test_matrix_and_range(matrix: ColourMatrix, full_range: bool) -> None:
    image = picture("nv12", 6, 8, matrix, full_range)
    want = np.empty((3, 4, 5), np.float32)
    reference.preprocess(image, want, MEAN, STD)
    assert_close(tensor(DeviceCase(image, "nv12").picture, (4, 5), np.float32), want)


@pytest.mark.parametrize("full_range", [False, True])
def test_ten_bits(full_range: bool) -> None:
    """Words that eight bits do not have, and full range, which goes up to 1023."""
    rng = np.random.default_rng(3)
    luma, chroma = rng.integers(0, 1024, (7, 9)), rng.integers(0, 1024, (4, 5, 2))
    luma[0, :2], chroma[0, 0] = (0, 1023), (512, 512)
    image = DevicePicture(
        tuple(cuda.to_device((plane << 6).astype(np.uint16)) for plane in (luma, chroma)),
        "p010", "bt709", full_range,
    )  # fmt: skip
    # To the scale of eight bits, of which limited range is a quarter of ten, and then the matrix.
    scale = (255 / 1023, 255 / 1023) if full_range else (1 / 4, 1 / 4)
    planes = luma * scale[0], *((chroma[..., i] - 512) * scale[1] + 128 for i in range(2))
    size = 8, 6
    yuv = np.stack([reference.resize(plane, *size).astype(np.float64) for plane in planes])
    weights = rgb_from_yuv("bt709", full_range)
    rgb = np.clip(np.einsum("ij,jhw->ihw", weights[:, :3], yuv) + weights[:, 3, None, None], 0, 255)
    want = (rgb / 255 - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    np.testing.assert_allclose(tensor(image, size, np.float32), want, atol=5e-5)


def test_refuses_what_it_cannot_write_or_read() -> None:
    image, stream = picture("nv12", 4, 4), cuda.stream()
    device = DeviceCase(image, "nv12").picture
    for shape, dtype in (((2, 4, 4), "f4"), ((3, 4), "f4"), ((3, 4, 4), "f8"), ((3, 0, 4), "f4")):
        with pytest.raises(ValueError, match="out is"):
            kernels.preprocess(device, cuda.device_array(shape, dtype), MEAN, STD, stream=stream)
    out = cuda.device_array((3, 4, 8), np.float32)
    for wrong in (out[:, :, :4], out[:, :, ::2]):
        with pytest.raises(ValueError, match="adjacent"):
            kernels.preprocess(device, wrong, MEAN, STD, stream=stream)
    with pytest.raises(ValueError, match="padded"):
        kernels.preprocess(
            device, cuda.device_array((3, 6, 8), np.float32)[:, :4], MEAN, STD, stream=stream
        )
    with pytest.raises(ValueError, match="positive"):
        kernels.preprocess(device, out, MEAN, (0.2, 0, 0.2), stream=stream)


def test_planes_of_rows_that_overlap_are_refused() -> None:
    luma = cuda.to_device(np.zeros((4, 8), np.uint8))
    image = DevicePicture((luma[:, ::2], cuda.to_device(np.zeros((2, 2, 2), np.uint8))), "nv12")
    with pytest.raises(ValueError, match="plane 0 of nv12"):
        tensor(image, (4, 4), np.float32)


def test_leaves_the_source_alone() -> None:
    image = picture("i420", 9, 11)
    assert isinstance(image, Yuv420)
    case = DeviceCase(image, "i420", 2)
    tensor(case.picture, (4, 4), np.float16)
    case.assert_equals(image)
