"""What of the device's memory can be checked with that of the host: forms, DLPack, errors."""

from __future__ import annotations

import gc
import weakref
from importlib import import_module

import av
import numpy as np
import pytest

from rtseg.device import dlpack
from rtseg.device.failures import translated, translation
from rtseg.device.memory import Form
from rtseg.device.transfer import put, take, to_host
from rtseg.errors import EngineError
from rtseg.frame import DevicePicture, Frame, Yuv420, empty_like, size_of


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (64, 48), (65, 47), (130, 2)])
def test_planes_of_a_form_do_not_overlap(size) -> None:
    for layout, channels in (("nv12", 1), ("bgr", 3)):
        form = Form(layout, *size)
        flat = np.zeros(form.nbytes, np.uint8)
        planes = form.planes(flat)
        image = DevicePicture(planes, layout)  # checks the shapes
        assert (image.width, image.height) == size
        for plane in planes:
            plane += 1
        assert flat.max() == 1
        assert flat.sum() == sum(plane.size for plane in planes)
        assert planes[0].shape[0] * planes[0].shape[1] * channels == planes[0].size
    assert Form("nv12", *size).pitch % 64 == 0


@pytest.mark.parametrize("size", [(1, 1), (64, 48), (65, 47)])
def test_pictures_go_in_and_out_of_planes(size) -> None:
    width, height = size
    half = (height + 1) // 2, (width + 1) // 2
    pictures = noise(height, width, 3), Yuv420(noise(height, width), noise(*half), noise(*half) ^ 1)
    for picture in pictures:
        form = Form.of(picture)
        planes = form.planes(np.zeros(form.nbytes, np.uint8))
        put(picture, planes)
        back = take(planes, empty_like(picture))
        for name in "yuv" if isinstance(picture, Yuv420) else ():
            np.testing.assert_array_equal(getattr(back, name), getattr(picture, name))
        if isinstance(picture, np.ndarray):
            np.testing.assert_array_equal(back, picture)


def test_a_frame_may_hold_a_picture_on_the_device() -> None:
    form = Form("nv12", 10, 6)
    image = DevicePicture(form.planes(np.zeros(form.nbytes, np.uint8)), "nv12", "bt601", True)
    frame = Frame(image)
    assert (frame.width, frame.height) == size_of(image) == (10, 6)
    like = empty_like(image)
    assert isinstance(like, Yuv420)
    assert (like.matrix, like.full_range, like.y.shape) == ("bt601", True, (6, 10))
    assert to_host(like) is like


# DLPack, with PyAV on the other side


def test_planes_of_pyav_are_read_where_they_are() -> None:
    frame = av.VideoFrame(66, 34, "nv12")
    for plane, level in zip(frame.planes, (7, 9), strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    luma, chroma = (np.asarray(dlpack.Borrowed(p.__dlpack__())) for p in frame.planes)
    assert (luma.shape, chroma.shape) == ((34, 66), (17, 33, 2))
    step = frame.planes[0].line_size
    assert step > 66 and luma.strides == (step, 1) and chroma.strides == (step, 2, 1)
    assert (luma == 7).all() and (chroma == 9).all()
    frame.planes[0].update(bytes([8]) * frame.planes[0].buffer_size)
    assert (luma == 8).all()
    del frame
    gc.collect()
    assert (luma == 8).all(), "the memory is kept"


def test_ten_bits_of_pyav_are_words() -> None:
    frame = av.VideoFrame(16, 8, "p010le")
    luma = dlpack.Borrowed(frame.planes[0].__dlpack__()).__array_interface__
    assert (luma["typestr"], luma["shape"]) == ("<u2", (8, 16))
    assert luma["strides"] == (frame.planes[0].line_size, 2)


def test_signed_or_wide_numbers_are_refused() -> None:
    for kind in (np.int8, np.float32, np.uint32):
        with pytest.raises(ValueError, match="a DLPack array of type"):
            dlpack.Borrowed(np.zeros(4, kind).__dlpack__())


def test_pyav_reads_our_planes_and_lets_go_of_them() -> None:
    class Owner:
        pass

    owner = Owner()
    alive = weakref.ref(owner)
    form = Form("nv12", 70, 48)  # rows are padded
    luma, chroma = form.planes(np.zeros(form.nbytes, np.uint8))
    luma[:], chroma[:] = noise(48, 70), noise(24, 35, 2)
    capsules = tuple(dlpack.lend(plane, owner) for plane in (luma, chroma))
    frame = av.VideoFrame.from_dlpack(capsules, format="nv12")
    del owner
    assert (frame.width, frame.height, frame.planes[0].line_size) == (70, 48, 128)
    assert alive() is not None
    rows = np.frombuffer(frame.planes[0], np.uint8).reshape(48, 128)[:, :70]
    np.testing.assert_array_equal(rows, luma)
    pairs = np.frombuffer(frame.planes[1], np.uint8).reshape(24, 128)[:, :70]
    np.testing.assert_array_equal(pairs, chroma.reshape(24, 70))
    del frame, capsules, rows, pairs
    gc.collect()
    assert alive() is None
    assert not dlpack._lent


# Errors, as numba raises them


def cuda_error(code: int, text: str) -> Exception:
    from numba.cuda.cudadrv.driver import CudaAPIError

    return CudaAPIError(code, f"Call to cuMemAlloc results in {text}")


def test_no_memory_says_what_to_lower() -> None:
    error = translation(cuda_error(2, "CUDA_ERROR_OUT_OF_MEMORY"), "uploading a frame")
    assert "memory is full (uploading a frame)" in str(error)
    assert "--size" in str(error) and "--streams" in str(error)


def test_any_other_error_of_cuda_is_a_failed_device() -> None:
    says = r"the GPU failed \(a test\).*ILLEGAL_ADDRESS"
    with pytest.raises(EngineError, match=says) as caught, translated("a test"):
        raise cuda_error(700, "CUDA_ERROR_ILLEGAL_ADDRESS")
    assert "CudaAPIError" in repr(caught.value.__cause__)


@pytest.mark.parametrize(
    "module_and_name",
    [
        "numba.cuda.cudadrv.error.NvvmError", "numba.cuda.cudadrv.error.NvvmSupportError",
        "numba.cuda.cudadrv.error.NvrtcError", "numba.cuda.cudadrv.error.NvrtcCompilationError",
        "numba.cuda.cudadrv.error.NvrtcSupportError", "numba.cuda.cudadrv.error.CCSupportError",
        "numba.cuda.cudadrv.driver.LinkerError", "cuda.core._utils.cuda_utils.NVRTCError",
        "cuda.bindings.nvvm.nvvmError", "cuda.bindings.nvjitlink.nvJitLinkError",
        "cuda.pathfinder.DynamicLibNotFoundError",
    ],
)  # fmt: skip
def test_a_kernel_that_does_not_compile_hints_at_the_driver(module_and_name) -> None:
    module, _, name = module_and_name.rpartition(".")
    kind = getattr(import_module(module), name)
    error = kind(5) if name in ("nvvmError", "nvJitLinkError") else kind("no such thing")
    says = r"be compiled for the GPU \(a test\).*driver is older.*pip install 'rtseg\[cuda\]'"
    with pytest.raises(EngineError, match=says) as caught, translated("a test"):
        raise error
    assert caught.value.__cause__ is error


def test_a_driver_older_than_the_compiler_is_not_a_failed_device() -> None:
    old = cuda_error(222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION")
    assert "driver is older" in str(translation(old, "a test"))


def test_errors_that_are_not_of_cuda_pass() -> None:
    with pytest.raises(ZeroDivisionError), translated("a test"):
        raise ZeroDivisionError
    with pytest.raises(EngineError, match=r"^already$"), translated("a test"):
        raise EngineError("already")


def test_the_names_are_those_of_the_installed_library() -> None:
    """Where the errors are told by name, the names must be right."""
    from cuda.core._utils.cuda_utils import CUDAError
    from numba.cuda.cudadrv.driver import CudaAPIError
    from numba.cuda.cudadrv.error import CudaSupportError

    for kind in (CUDAError, CudaSupportError):
        assert translation(kind("CUDA_ERROR_UNKNOWN"), "a test") is not None
    assert issubclass(CudaAPIError, Exception)
