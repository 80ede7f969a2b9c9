"""The short drive that the tests of `rtseg run` read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

FAST = ("--size", "160x96")


def stamps(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [f.pts * f.time_base for f in container.decode(video=0)]


def write_drive(path: Path) -> Path:
    """24 rendered frames at uneven times."""
    from rtseg.synthetic import Scene

    scene = Scene(192, 112, seed=3)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 192, 112, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 600)
        for i in range(24):
            frame = av.VideoFrame.from_ndarray(scene.render(i)[0], "bgr24")
            frame.pts, frame.time_base = i * 20 + (i % 3) * 5, Fraction(1, 600)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
