"""A file through NVDEC and the pipeline, to labels on the host; nothing is painted or written."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from rtseg.segmenter import DEVICE_STREAMS, Segmenter

Size = tuple[int, int]


def missing() -> str | None:
    """Why no file can be decoded on the GPU here; None if nothing speaks against it.

    Raises ModuleNotFoundError without PyAV.
    """
    from rtseg.video import decoding

    return decoding.missing()


def measure(name: str, size: Size, clip: Path, frames: int | None = None) -> dict[str, Any]:
    """A model with network input `size` (width, height) on a video file.

    Raises SourceError if NVDEC does not take it, with its reason.
    """
    from rtseg.pipeline import Pipeline, in_flight
    from rtseg.video.sinks import NullSink
    from rtseg.video.sources import open_source

    with (
        Segmenter(name, size=size, streams=DEVICE_STREAMS) as segmenter,
        open_source(
            clip,
            decoder="nvdec",
            memory=segmenter.memory,
            in_flight=in_flight(DEVICE_STREAMS),
            max_frames=frames,
        ) as source,
    ):
        engine = segmenter.engine(source.info.width, source.info.height)
        summary = Pipeline(source, segmenter, [NullSink()]).run()
        return {
            "model": name,
            "size": list(size),
            "engine": engine.name,
            "frame": [source.info.width, source.info.height],
            "frames": summary.written,
            "fps": round(summary.fps, 1),
            "stages_p50_ms": {k: round(s.median, 4) for k, s in summary.stages.items()},
            "stages_p99_ms": {k: round(s.p99, 4) for k, s in summary.stages.items()},
        }


def rendered(folder: Path, size: Size, frames: int) -> Path:
    """A rendered street as H.264, (width, height) pixels."""
    import numpy as np

    from rtseg.classes import CAMVID
    from rtseg.segmentation import Result, Segmentation
    from rtseg.video.sinks import VideoSink
    from rtseg.video.sources import open_source

    path = folder / "rendered.mp4"
    spec = f"synthetic:{size[0]}x{size[1]}@25?frames={frames}"
    with open_source(spec) as source, VideoSink(path, info=source.info) as sink:
        for frame in source:
            nothing = np.zeros((frame.height, frame.width), np.uint8)
            sink.write(Result(frame, Segmentation(nothing, CAMVID), frame.image, {}))
    return path


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for the clip, removed at the end."""
    return tempfile.TemporaryDirectory(prefix="rtseg-gpu-")
