"""Programs that write in a process of their own, to be killed or to run out of disk."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).parent

PROGRAM = """
import signal, sys
sys.path[:0] = {path!r}
from fractions import Fraction
from clips import noise, result_of
from rtseg.errors import SinkError
from rtseg.frame import Frame
from rtseg.video.base import SourceInfo
from rtseg.video.planes import PlaneReader
from rtseg.video.writer import VideoSink

info = SourceInfo("test", "video", 320, 240, Fraction(25), time_base=Fraction(1, 25))
frames = [Frame(PlaneReader().read(noise(i).reformat(format="yuv420p"))) for i in range(20)]

def results():
    index = 0
    while True:
        frame = frames[index % len(frames)]
        yield result_of(Frame(frame.image, index, index, info.time_base))
        index += 1

{body}
"""


def program(body: str, *arguments: object) -> list[str]:
    """The command that runs `body`, with `info`, `results()` and `SinkError` at hand."""
    path = [str(HERE), str(HERE.parents[1])]
    code = PROGRAM.format(path=path, body=textwrap.dedent(body))
    return [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
