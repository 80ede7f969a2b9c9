"""How pictures are encoded: by libx264 on the processor, or by NVENC on the GPU."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from av.container import OutputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc
from av.video.stream import VideoStream

from rtseg.errors import OutputError
from rtseg.frame import ColourMatrix
from rtseg.hardware import cpu_count
from rtseg.video import gpu

PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
)  # fmt: skip

NVENC_PRESET = "p4"
"""The middle of p1 (fastest) to p7 (best)."""

KEY_SECONDS = 1
"""Between frames at which a player can start."""

# Matrix → AVColorSpace, primaries, transfer. Only the matrix is known; the rest is what usually
# goes with it, and bt2020 goes with several.
_TAGS: dict[ColourMatrix, tuple[int, ColorPrimaries, ColorTrc]] = {
    "bt601": (6, ColorPrimaries.SMPTE170M, ColorTrc.SMPTE170M),
    "bt709": (1, ColorPrimaries.BT709, ColorTrc.BT709),
    "bt2020": (9, ColorPrimaries.BT2020, ColorTrc.UNSPECIFIED),
}


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """What is encoded. width and height are even; aspect is that of a pixel."""

    width: int
    height: int
    rate: Fraction
    matrix: ColourMatrix
    full_range: bool
    aspect: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class Effort:
    """How the encoder works: its preset, its quality (crf, smaller is better; NVENC takes it as a
    constant quantiser), its threads."""

    preset: str
    crf: int
    threads: int
    codec: Literal["x264", "nvenc"] = "x264"

    def __post_init__(self) -> None:
        if self.codec == "x264" and self.preset not in PRESETS:
            raise OutputError(f"unknown preset {self.preset!r}; expected {', '.join(PRESETS)}")
        if not 0 <= self.crf <= 51:
            raise OutputError(f"a crf of {self.crf}; expected 0 (lossless) to 51 (worst)")
        if self.threads < 1:
            raise OutputError(f"{self.threads} encoder threads; expected 1 or more")

    def __str__(self) -> str:
        return f"{self.codec} {self.preset}, {'crf' if self.codec == 'x264' else 'qp'} {self.crf}"


def add_stream(
    container: OutputContainer, video: VideoFormat, effort: Effort, time_base: Fraction
) -> VideoStream:
    """A stream for pictures of that format. NVENC takes frames on the GPU as they are; PyAV puts
    others there. Raises EngineError, FFmpegError, NotImplementedError."""
    kind, rate = effort.codec, video.rate
    options = _OPTIONS[kind](effort)
    if kind == "nvenc":
        hwaccel = gpu.accelerator()
        stream = container.add_stream("h264_nvenc", rate=rate, options=options, hwaccel=hwaccel)
    else:
        stream = container.add_stream("libx264", rate=rate, options=options)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = video.width, video.height
    stream.pix_fmt = "nv12" if kind == "nvenc" else "yuv420p"
    context = stream.codec_context
    if kind == "x264":
        # Not slices: they are no faster, and the picture is worse at their edges.
        context.thread_count, context.thread_type = effort.threads, "FRAME"
    context.time_base = stream.time_base = time_base
    context.sample_aspect_ratio = video.aspect
    context.gop_size = max(1, round(video.rate * KEY_SECONDS))
    context.colorspace, context.color_primaries, context.color_trc = _TAGS[video.matrix]
    context.color_range = ColorRange.JPEG if video.full_range else ColorRange.MPEG
    return stream


def _x264(effort: Effort) -> dict[str, str]:
    return {"preset": effort.preset, "crf": str(effort.crf), "bf": "0", "forced-idr": "1"}


def _nvenc(effort: Effort) -> dict[str, str]:
    """https://ffmpeg.org/ffmpeg-codecs.html#NVENC, or `ffmpeg -h encoder=h264_nvenc`."""
    return {
        "preset": effort.preset, "rc": "constqp", "qp": str(effort.crf), "bf": "0",
        "forced-idr": "1",
    }  # fmt: skip


_OPTIONS = {"x264": _x264, "nvenc": _nvenc}


def default_preset() -> str:
    """The x264 preset that leaves most of this machine to the network.

    CPU per frame and size of 720p dashcam video at crf 23: ultrafast 5.7 ms, 45 KB; superfast
    11.5 ms, 29 KB; veryfast 18 ms, 23 KB.
    """
    cores = cpu_count()
    return "ultrafast" if cores < 4 else "superfast" if cores < 12 else "veryfast"


def default_threads() -> int:
    """Encoder threads: one keeps up on few cores, and more delay the output."""
    return min(4, max(1, cpu_count() // 2))
