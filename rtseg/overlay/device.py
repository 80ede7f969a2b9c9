"""The same picture painted on the GPU: colours, legend and status line, without waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rtseg.device.arrays import DeviceArray, Stream
from rtseg.device.memory import Memory
from rtseg.frame import DevicePicture, size_of
from rtseg.kernels import cuda as kernels
from rtseg.overlay import Overlay, colours_of
from rtseg.overlay.sprites import Layer, layers_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image


class _Slot(NamedTuple):
    """Room for the layers of a sprite on the GPU and, page-locked, on the host: (n,) uint16."""

    device: DeviceArray
    host: NDArray[np.uint16]


class DeviceBrush:
    """Paints an overlay on one stream. One thread uses one brush.

    Sprites go to the GPU when they change: the legend once, the status line with every frame,
    through memory that grows only for a longer line than any before.
    """

    def __init__(self, overlay: Overlay, memory: Memory) -> None:
        self.overlay = overlay
        self._memory = memory
        self._slots: dict[int, _Slot] = {}
        self._placed: dict[int, tuple[object, tuple[Layer, ...]]] = {}

    def paint(
        self,
        image: DevicePicture,
        labels: DeviceArray,
        out: DevicePicture,
        status: str,
        *,
        stream: Stream,
    ) -> None:
        """Draw `image` with its (H, W) uint8 labels into `out`, of the same size and layout.

        All earlier work of the brush must be done: its page-locked memory is written. Raises
        EngineError.
        """
        kernels.blend(image, labels, self.overlay.table(image), out, stream=stream)
        for place, (sprite, x, y) in enumerate(self.overlay.annotations(size_of(out), status)):
            layers = self._layers(place, sprite, out, stream)
            kernels.lay(out, layers, x, y, stream=stream)

    def _layers(
        self, place: int, sprite: Image.Image, out: DevicePicture, stream: Stream
    ) -> tuple[Layer, ...]:
        """The layers of a sprite on the GPU; sent there unless they are what this place had."""
        key = (sprite, out.layout, out.matrix, out.full_range)
        before = self._placed.get(place)
        if before is None or before[0] != key:
            layers = layers_of(sprite, colours_of(out))
            self._placed[place] = before = key, self._send(place, layers, stream)
        return before[1]

    def _send(self, place: int, layers: tuple[Layer, ...], stream: Stream) -> tuple[Layer, ...]:
        """Copies of layers on the GPU, in one transfer."""
        arrays = [array for layer in layers for array in layer]
        count = sum(array.size for array in arrays)
        slot = self._slot(place, count)
        sent: list[Any] = []
        at = 0
        for array in arrays:
            slot.host[at : at + array.size] = array.reshape(-1)
            sent.append(slot.device[at : at + array.size].reshape(array.shape))
            at += array.size
        slot.device[:count].copy_to_device(slot.host[:count], stream=stream)
        return tuple(Layer(*pair) for pair in zip(sent[::2], sent[1::2], strict=True))

    def _slot(self, place: int, count: int) -> _Slot:
        slot = self._slots.get(place)
        if slot is None or slot.host.size < count:
            room = count + count // 4  # the status line's length varies by some digits
            slot = _Slot(
                self._memory.on_device((room,), np.uint16), self._memory.on_host((room,), np.uint16)
            )
            self._slots[place] = slot
        return slot
