"""Pictures and arrays on the GPU, or in the simulator, of every layout; tests run in either."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from rtseg.frame import ColourMatrix, DevicePicture, Layout, Picture, Yuv420
from rtseg.kernels._cuda_jit import KERNELS, SIMULATED

FILL = 77
"""What stands in the padding of rows, and must stand there afterwards."""


class Padded:
    """An array on the device whose rows have `extra` more columns than it shows.

    With none, or a multiple of four, rows of whole words stay whole words.
    """

    def __init__(self, array: NDArray[Any], extra: int = 0) -> None:
        height, width, *rest = array.shape
        memory = np.full((height, width + extra, *rest), FILL, array.dtype)
        memory[:, :width] = array
        self._all, self._width = cuda.to_device(memory), width
        self.array = self._all[:, :width] if extra else self._all

    def read(self) -> NDArray[Any]:
        """The array on the host. Fails if anything was written beyond it."""
        memory = self._all.copy_to_host()
        assert (memory[:, self._width :] == FILL).all()
        return memory[:, : self._width]


class DeviceCase:
    """A picture on the device that can be read back."""

    def __init__(self, image: Picture, layout: Layout, extra: int = 0) -> None:
        self.planes = [Padded(plane, extra) for plane in planes_of(image, layout)]
        colours: tuple[ColourMatrix, bool] = ("bt709", False)
        if isinstance(image, Yuv420):
            colours = image.matrix, image.full_range
        self.picture = DevicePicture(tuple(p.array for p in self.planes), layout, *colours)

    def assert_equals(self, image: Picture) -> None:
        """That the pixels are those of `image`, and the padding is untouched."""
        for got, want in zip(self.planes, planes_of(image, self.picture.layout), strict=True):
            np.testing.assert_array_equal(got.read(), want)


def planes_of(image: Picture, layout: Layout) -> list[NDArray[Any]]:
    """The planes of a picture in a layout on the host. p010: eight bits, four times."""
    if not isinstance(image, Yuv420):
        return [image]
    if layout == "i420":
        return [image.y, image.u, image.v]
    chroma = np.stack([image.u, image.v], axis=-1)
    if layout == "p010":
        return [plane.astype(np.uint16) << 8 for plane in (image.y, chroma)]
    return [image.y, chroma]


def assert_signatures_known(compiled: Any, arguments: tuple[Any, ...]) -> None:
    """That a kernel's arguments have the types of one of the signatures that are compiled."""
    from numba.cuda.core.sigutils import normalize_signature
    from numba.cuda.typing.typeof import Purpose, typeof

    known = next(k for k in KERNELS.values() if k.compiled is compiled)
    given = tuple(typeof(argument, Purpose.argument) for argument in arguments)
    assert given in [tuple(normalize_signature(s)[0]) for s in known.signatures]


def watch_launches(monkeypatch: Any) -> None:
    """Check every launch in the simulator, which takes arguments of any type."""
    if not SIMULATED:
        return
    from numba.cuda.simulator.kernel import FakeCUDAKernel

    call = FakeCUDAKernel.__call__

    def checked(self: Any, *arguments: Any) -> Any:
        if not self._device:
            assert_signatures_known(self, arguments)
        return call(self, *arguments)

    monkeypatch.setattr(FakeCUDAKernel, "__call__", checked)
