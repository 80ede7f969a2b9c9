"""From logits on the GPU to labels at the frame's size: checks, tables and launches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rtseg.device.arrays import DeviceArray, Stream
from rtseg.kernels._cuda_confidence import confidence_of
from rtseg.kernels._cuda_jit import launch
from rtseg.kernels._cuda_labels import THREADS, TILE_HEIGHT, TILE_WIDTH, labels_kernel
from rtseg.kernels._cuda_tables import places, upload
from rtseg.kernels._cuda_views import check_valid, flat, plane
from rtseg.kernels._views import check_confidence, check_labels, check_logits

if TYPE_CHECKING:
    from numpy.typing import NDArray


def postprocess(
    logits: DeviceArray,
    labels: DeviceArray,
    *,
    stream: Stream,
    valid: DeviceArray,
    confidence: DeviceArray | None = None,
) -> None:
    """Class ids at the size of `labels`: the largest of the bilinearly resized logits.

    logits: (C, h, w) float32, C of 1 to 254, C-contiguous. labels: (H, W) uint8, rows may be
    padded. valid: (1,) int32, becomes 1; or 0 if any logit is NaN or infinite, and then every label
    is 255. confidence: (H, W) uint8, the probability of the label, see `rtseg.kernels.cpu`.
    All are on the device.

    Labels are those of `rtseg.kernels.cpu.postprocess`; where only float32 rounding makes two
    classes equal, either may be given. Nothing is waited for. The first call for two sizes and a
    `valid` uploads tables; one `valid` serves one stream at a time. Raises ValueError for arrays of
    another shape or type, EngineError.
    """
    check_logits(logits)
    check_labels(labels)
    check_valid(valid)
    size = int(labels.shape[0]), int(labels.shape[1])
    if confidence is not None:
        check_confidence(confidence, labels)
    values, ids, verdict = flat("logits", logits), plane("labels", labels), plane("valid", valid)
    shape = tuple(int(n) for n in logits.shape)
    rows = upload(places, shape[1], size[0], stream=stream)
    columns = upload(places, shape[2], size[1], stream=stream)
    state = upload(_untouched, verdict.address, stream=stream)
    grid = -(-size[1] // TILE_WIDTH), -(-size[0] // TILE_HEIGHT)
    launch(
        labels_kernel, grid, THREADS, stream,
        values, *shape, rows, columns,
        ids.samples, ids.words, ids.step, int(ids.aligned), *size, state, verdict.samples,
    )  # fmt: skip
    if confidence is not None:
        found = values, *shape, rows, columns, ids.samples, ids.step, verdict.samples
        confidence_of(found, plane("confidence", confidence), size, stream)


def _untouched(_address: int) -> NDArray[np.uint32]:
    """How many blocks are done, and whether one met a logit that is no number: of the launch that
    runs; the last block leaves both at 0 for the next launch."""
    return np.zeros(2, np.uint32)
