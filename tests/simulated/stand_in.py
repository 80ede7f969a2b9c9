"""Engines that stand in for a network: one on the host, one on simulated device arrays.

Both give a pixel the class that its grey level is nearest to, 25 levels a class. What they answer
is exact for pictures of such greys, so that the kernels around them are compared and nothing else.
"""

from __future__ import annotations

import numpy as np
from numba import cuda

from rtseg.device.memory import Form, Memory, Surface
from rtseg.device.transfer import put
from rtseg.frame import DevicePicture, Yuv420
from rtseg.workers import buffers

STEP, CLASSES, STRIDE = 25, 11, 4

_event = cuda.event
# The simulator's takes no argument; the GPU's is asked for one without a clock.
cuda.event = lambda timing=True: _event()  # noqa: ARG005
# There are no graphs either: a recording calls again what it recorded.
buffers.record_event = lambda event, stream: event.record(stream)


def answer(tensor: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """(3, h, w) normalised input → (11, h / 4, w / 4) float32 logits."""
    samples = tensor[:, ::STRIDE, ::STRIDE].astype(np.float32)
    weights = np.array(std, np.float32)[:, None, None], np.array(mean, np.float32)[:, None, None]
    grey = (samples * weights[0] + weights[1]).mean(0) * 255
    nearest = np.clip(np.rint(grey / STEP), 0, CLASSES - 1).astype(int)
    return np.where(np.arange(CLASSES)[:, None, None] == nearest, np.float32(8), np.float32(0))


class HostContext:
    def __init__(self, contract, size) -> None:
        self.contract = contract
        self.input = np.zeros((3, size[1], size[0]), np.float32)

    def run(self) -> np.ndarray:
        return answer(self.input, self.contract.mean, self.contract.std)


class HostStandIn:
    name, precision, device, notes = "stand-in", "f32", "host", ()

    def __init__(self, contract, size) -> None:
        self.contract, self.size = contract, size

    def context(self) -> HostContext:
        return HostContext(self.contract, self.size)

    def close(self) -> None:
        pass


class Recording:
    """parts: called at each launch."""

    def __init__(self, *parts) -> None:
        self.parts, self.launches, self.closed = parts, 0, False

    def launch(self) -> None:
        assert not self.closed
        self.launches += 1
        for part in self.parts:
            part()

    def close(self) -> None:
        self.closed, self.parts = True, ()


class DeviceContext:
    """fail_at: the number of the run that fails as a lost device does."""

    graph_refused = None

    def __init__(self, engine) -> None:
        width, height = engine.size
        self.engine = engine
        self.input = cuda.device_array((3, height, width), np.float16)
        self.logits = cuda.device_array((CLASSES, height // STRIDE, width // STRIDE), np.float32)
        self.stream = cuda.stream()
        self.runs = 0
        self.recordings = []

    def record(self, before, after) -> Recording:
        self.recordings.append(Recording(before, self.run, after))
        return self.recordings[-1]

    def run(self) -> None:
        if self.runs == self.engine.fail_at:
            raise lost_device()
        self.runs += 1
        contract = self.engine.contract
        logits = answer(self.input.copy_to_host(), contract.mean, contract.std)
        if self.engine.poison:
            logits[3, 1, 2] = np.nan
        self.logits.copy_to_device(logits)


class DeviceStandIn:
    name, precision, device, notes = "stand-in", "f16", "simulator", ()

    def __init__(self, contract, size, *, fail_at: int | None = None, poison: bool = False) -> None:
        self.contract, self.size, self.fail_at, self.poison = contract, size, fail_at, poison

    def device_context(self) -> DeviceContext:
        return DeviceContext(self)

    def close(self) -> None:
        pass


def lost_device() -> Exception:
    """What numba raises when the driver has lost the device."""
    from numba.cuda.cudadrv.driver import CudaAPIError

    return CudaAPIError(719, "Call to cuLaunchKernel results in CUDA_ERROR_LAUNCH_FAILED")


def greys(width: int, height: int, shift: int = 0) -> np.ndarray:
    """(H, W) uint8 in patches of 8x8, each of a grey that is a class's own."""
    rows, columns = np.indices((height, width)) // 8
    return ((rows * 3 + columns + shift) % CLASSES * STEP).astype(np.uint8)


def bgr(width: int, height: int, shift: int = 0) -> np.ndarray:
    return np.repeat(greys(width, height, shift)[..., None], 3, 2)


def planes(width: int, height: int, shift: int = 0) -> Yuv420:
    half = (height + 1) // 2, (width + 1) // 2
    chroma = np.full(half, 128, np.uint8), np.full(half, 128, np.uint8)
    return Yuv420(greys(width, height, shift), *chroma, "bt601", True)


def on_device(picture, memory: Memory) -> DevicePicture:
    """A copy of a picture on the device, nv12 for planes."""
    form = Form.of(picture)
    host, device = Surface.on_host(form, memory), Surface.on_device(form, memory)
    host.flat[:] = 0
    put(picture, host.planes)
    device.flat.copy_to_device(host.flat)
    if isinstance(picture, Yuv420):
        return device.picture(picture.matrix, picture.full_range, cuda.event())
    return device.picture("bt709", True)


def in_layout(picture: Yuv420, layout: str) -> DevicePicture:
    """A copy on the device as i420 or p010, without padded rows."""
    planes = [picture.y, picture.u, picture.v]
    if layout == "p010":
        chroma = np.stack(planes[1:], axis=-1)
        planes = [plane.astype(np.uint16) << 8 for plane in (picture.y, chroma)]
    there = tuple(cuda.to_device(plane) for plane in planes)
    return DevicePicture(there, layout, picture.matrix, picture.full_range)
