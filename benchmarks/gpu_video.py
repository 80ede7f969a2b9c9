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


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for the clip, removed at the end."""
    return tempfile.TemporaryDirectory(prefix="rtseg-gpu-")
