"""Clips made on the spot, with every property that a source must cope with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from rtseg.classes import CAMVID
from rtseg.frame import Frame, Picture, Yuv420
from rtseg.segmentation import Result, Segmentation
from rtseg.video.sources import open_source
from rtseg.video.writer import VideoSink

LOSSLESS = {"preset": "ultrafast", "qp": "0", "bf": "0"}
FINE = {"preset": "ultrafast", "crf": "4"}


def grey_level(index: int) -> int:
    """Luma of the frame with this number: neighbours differ by 7."""
    return 20 + 7 * index % 200


def fill(frame: av.VideoFrame, *levels: int) -> av.VideoFrame:
    """A frame whose planes are flat; the bytes between the rows are not part of the picture."""
    for plane, level in zip(frame.planes, levels, strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    return frame


def flat(index: int, width: int = 64, height: int = 48) -> av.VideoFrame:
    return fill(av.VideoFrame(width, height, "yuv420p"), grey_level(index), 128, 128)


def noise(index: int, width: int = 320, height: int = 240) -> av.VideoFrame:
    """A window of noise that moves by a pixel per frame: costly to code, so that files are big."""
    field = np.random.default_rng(7).integers(0, 255, (height + 256, width + 256, 3), np.uint8)
    window = field[index : index + height, index : index + width]
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(window), format="bgr24")


def write_clip(
    path: Path,
    frames: Iterable[av.VideoFrame],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    time_base: Fraction = Fraction(1, 25),
    pts: Sequence[int] | None = None,
    options: dict[str, str] = LOSSLESS,
    muxer: dict[str, str] | None = None,
    colorspace: int | None = None,
    color_range: int | None = None,
    rotation: int | None = None,
    aspect: Fraction | None = None,
    sound: float | None = None,
    gop: int = 12,
) -> Path:
    """Write a clip; `sound` is the time in seconds at which its 440 Hz tone starts."""
    with av.open(str(path), "w", container_options=muxer or {}) as container:
        stream = container.add_stream(codec, rate=25, options=dict(options))
        stream.pix_fmt = pix_fmt
        context = stream.codec_context
        context.time_base = stream.time_base = time_base
        context.gop_size = gop
        if colorspace is not None:
            context.colorspace = colorspace
        if color_range is not None:
            context.color_range = color_range
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        if rotation is not None:
            stream.set_display_rotation(rotation)
        audio = container.add_stream("aac", rate=48000) if sound is not None else None
        count = 0
        for count, frame in enumerate(frames):
            if count == 0:
                stream.width, stream.height = frame.width, frame.height
            frame.pts, frame.time_base = pts[count] if pts else count, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            _write_tone(container, audio, sound, (count + 1) / 25)
    return path


def _write_tone(container, audio, start: float, seconds: float) -> None:
    samples = 1024
    for block in range(round(seconds * 48000 / samples)):
        at = np.arange(samples) + block * samples
        tone = (np.sin(at * 2 * np.pi * 440 / 48000) * 9000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None], format="s16", layout="stereo")
        frame.sample_rate, frame.time_base = 48000, Fraction(1, 48000)
        frame.pts = round(start * 48000) + block * samples
        container.mux(audio.encode(frame))
    container.mux(audio.encode(None))


def damage(
    path: Path, out: Path, *, keep: float = 1.0, zero: tuple[float, int] | None = None
) -> Path:
    """A copy that ends after the share `keep`, or with bytes zeroed from a share on."""
    data = bytearray(path.read_bytes())
    if zero is not None:
        start = int(len(data) * zero[0])
        data[start : start + zero[1]] = bytes(zero[1])
    out.write_bytes(data[: int(len(data) * keep)])
    return out


def decode(path: Path) -> list[av.VideoFrame]:
    """All frames, by PyAV alone: the second opinion on what rtseg wrote."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def times(path: Path) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in decode(path)]


def plane(frame: av.VideoFrame, index: int = 0) -> NDArray[np.uint8]:
    """A copy of one plane of a decoded frame."""
    source = frame.planes[index]
    rows = np.frombuffer(source, np.uint8).reshape(source.height, source.line_size)
    return rows[:, : source.width].copy()


def luma(image: Picture) -> float:
    """Mean level of a picture, to recognise flat frames by."""
    return float((image.y if isinstance(image, Yuv420) else image).mean())


def result_of(frame: Frame, picture: Picture | None = None, *, valid: bool = True) -> Result:
    """What the pipeline would hand to a sink: the frame's own picture unless another is given."""
    labels = np.full((frame.height, frame.width), 3, np.uint8)
    labels[: frame.height // 4] = 0
    segmentation = Segmentation(labels, CAMVID, valid=valid, index=frame.index, pts=frame.pts)
    return Result(frame, segmentation, picture or frame.image, {"decode": 1.23456})


def transcode(source_path: Path, out: Path, **options: Any) -> VideoSink:
    """Copy a video by way of the sink's own pictures, as the pipeline does; its closed sink."""
    with open_source(source_path) as source:
        sink = VideoSink(out, info=source.info, **options)
        with sink:
            for frame in source:
                picture = sink.picture_for(frame)
                picture.y[:], picture.u[:], picture.v[:] = (
                    frame.image.y,
                    frame.image.u,
                    frame.image.v,
                )
                sink.write(result_of(frame, picture))
    return sink
