"""What comes out: a label for every pixel of the frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from rtseg.classes import LabelSet
from rtseg.frame import DevicePicture, Frame, Picture

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Class ids of one frame, at the frame's own resolution.

    labels: (H, W) uint8, ids of `classes`; 255 where there is no answer.
    valid: False if the network gave NaN or infinite logits; `labels` is then 255 everywhere.
    timings: milliseconds by stage: "preprocess", "inference", "postprocess"; on a GPU, by its own
        clock, also "upload" and "download"; "overlay" where a picture was painted.
    index, pts, time_base: those of the frame.
    """

    labels: NDArray[np.uint8]
    classes: LabelSet
    valid: bool = True
    timings: Mapping[str, float] = field(default_factory=dict)
    index: int = 0
    pts: int | None = None
    time_base: Fraction = Fraction(1, 1)

    def fractions(self) -> dict[str, float]:
        """Share of the frame's pixels by class name, each 0–1 (they sum to 1 if `valid`)."""
        from rtseg.kernels import cpu

        counts = cpu.count(self.labels)
        return {c.name: float(counts[c.id]) / self.labels.size for c in self.classes}

    def overlay(self, frame: Frame | NDArray[np.uint8], *, alpha: float = 0.5) -> NDArray[np.uint8]:
        """The frame with the classes' colours over it, (H, W, 3) uint8 BGR, a new array.

        alpha: opacity of the colours, 0–1. Raises ValueError if the frame has another size.
        """
        from rtseg.device.transfer import to_host
        from rtseg.kernels import cpu
        from rtseg.kernels.tables import blend_table

        image = cpu.to_bgr(to_host(frame.image) if isinstance(frame, Frame) else frame)
        out = image.copy()
        cpu.blend(image, self.labels, blend_table(self.classes, alpha=alpha, like=image), out)
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What the pipeline hands to its sinks: the frame, its labels and the picture to show.

    picture: what a video sink writes, of the frame's size and colours, in the machine's memory or
        on the GPU; None where no sink wants one.
    stages: milliseconds by stage, from decoding to blending.
    """

    frame: Frame
    segmentation: Segmentation
    picture: Picture | DevicePicture | None
    stages: Mapping[str, float]
