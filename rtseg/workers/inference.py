"""From a picture on the GPU to its labels there, as one CUDA graph from the second frame on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rtseg.device.failures import translated
from rtseg.errors import EngineError
from rtseg.frame import ColourMatrix, DevicePicture
from rtseg.kernels import cuda as kernels
from rtseg.workers.buffers import Buffers, Clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rtseg.backends.base import DeviceContext, Recording
    from rtseg.contract import Contract

SAME = 0.999
"""Share of the labels that a graph must give as the launches do that it was recorded from."""

STAGES = ("preprocess", "inference", "postprocess")


class _Kind(NamedTuple):
    """What a graph is good for. A picture that was uploaded lies at one place, and preprocessing
    it is part of the graph; one that a decoder made lies anywhere, and is preprocessed before."""

    uploaded: bool
    matrix: ColourMatrix = "bt709"
    full_range: bool = True

    @property
    def stages(self) -> tuple[str, ...]:
        return STAGES if self.uploaded else STAGES[1:]


class Inference:
    """Preprocessing, network and postprocessing on a context's stream. One thread uses one.

    graph_refused: why they are launched one by one, or None.
    """

    def __init__(
        self, contract: Contract, context: DeviceContext, buffers: Buffers, clock: Clock
    ) -> None:
        """buffers: for the frames of one form; the labels go there."""
        self._contract, self._context = contract, context
        self._buffers, self._clock = buffers, clock
        self._graphs: dict[_Kind, Recording] = {}
        self._tables: dict[_Kind, object] = {}  # what the recorded kernels read
        self.graph_refused = context.graph_refused

    def enqueue(self, image: DevicePicture) -> None:
        """Put the three on the stream, and mark their ends."""
        kind = self._kind(image)
        graph = self._graphs.get(kind)
        if graph is None:
            self._preprocess(image, self._clock.mark)
            self._context.run()
            self._postprocess(self._clock.mark)
            return
        if not kind.uploaded:
            self._preprocess(image, self._clock.mark)
        graph.launch()
        self._clock.passed(*kind.stages)

    def record(self, image: DevicePicture) -> None:
        """Record the graph for pictures like this one, which was the last one enqueued.

        Everything must be done and its labels be in `labels_host`. If the graph cannot be recorded
        or gives other labels, `graph_refused` says so and frames go on without. Raises EngineError
        if not even that works.
        """
        kind = self._kind(image)
        if kind in self._graphs or self.graph_refused is not None:
            return
        try:
            with translated("recording a frame's work"):
                graph = self._recorded(image, kind)
                self._check(graph)
        except EngineError as exc:
            self.graph_refused = str(exc)
            self._retry()
        else:
            self._graphs[kind] = graph

    def close(self) -> None:
        """Free the graphs; the buffers that they write are about to go."""
        while self._graphs:
            self._graphs.popitem()[1].close()
        self._tables.clear()

    def _kind(self, image: DevicePicture) -> _Kind:
        if not self._buffers.uploaded(image):
            return _Kind(False)
        return _Kind(True, image.matrix, image.full_range)

    def _recorded(self, image: DevicePicture, kind: _Kind) -> Recording:
        mark = self._clock.mark_recorded

        def before() -> None:
            if kind.uploaded:
                self._preprocess(image, mark)

        graph = self._context.record(before, lambda: self._postprocess(mark))
        self._tables[kind] = kernels.uploads()
        return graph

    def _preprocess(self, image: DevicePicture, mark: Callable[[str], None]) -> None:
        contract, context = self._contract, self._context
        kernels.preprocess(image, context.input, contract.mean, contract.std, stream=context.stream)
        mark("preprocess")

    def _postprocess(self, mark: Callable[[str], None]) -> None:
        mark("inference")
        context, buffers = self._context, self._buffers
        kernels.postprocess(
            context.logits, buffers.labels, stream=context.stream, valid=buffers.valid
        )
        mark("postprocess")

    def _check(self, graph: Recording) -> None:
        """Launch it on what is there, logits and labels spoilt: what it leaves out would show.

        Raises EngineError for other labels than before.
        """
        before, stream = self._buffers.labels_host, self._context.stream
        for spoilt, value in ((self._buffers.labels, 255), (self._context.logits, 0)):
            spoilt.copy_to_device(np.full(spoilt.shape, value, spoilt.dtype), stream=stream)
        graph.launch()
        same = float((self._downloaded() == before).mean())
        if same < SAME:
            graph.close()
            raise EngineError(
                f"the recorded graph gives {same:.2%} of the labels that its parts give; expected "
                f"{SAME:.1%}"
            )

    def _retry(self) -> None:
        """An error that stays with the device shows here, not at a later frame."""
        with translated("segmenting a frame without a graph"):
            self._context.run()
            self._downloaded()

    def _downloaded(self) -> NDArray[np.uint8]:
        """(H, W) labels in new memory; waits for the stream."""
        stream = self._context.stream
        labels: NDArray[np.uint8] = self._buffers.labels.copy_to_host(stream=stream)
        stream.synchronize()
        return labels
