"""Video files, decoded by FFmpeg through PyAV, packet by packet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TypeAlias, cast

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from rtseg.errors import SourceError
from rtseg.frame import DevicePicture, Frame
from rtseg.video import damage
from rtseg.video.base import BaseSource, Limits, SourceInfo, shown
from rtseg.video.planes import (
    UPRIGHT,
    FrameReader,
    Orientation,
    device_format,
    orientation_of,
)
from rtseg.video.probe import DEMUXERS, check_file, unreadable
from rtseg.video.stamps import Stamps

_TRIES = 8  # reads that may fail in a row before the rest of a file is given up
_HDR = {16: "PQ", 18: "HLG"}  # AVColorTransferCharacteristic

Decoded: TypeAlias = tuple[av.VideoFrame, int]
"""A decoder frame and its stamp, made monotonic."""


class VideoFile(BaseSource[Decoded]):
    """The frames of a video file, as `reader` makes them of the decoder's.

    A packet that cannot be decoded is passed over and counted as a lost frame. `Frame.index` counts
    the frames that were decoded, before the stride. See `Stamps` for what happens to time stamps
    that are missing or do not rise.

    on_device: the pixel format of the first frame if it was decoded on the GPU, such as "nv12",
    else None. upright: whether pictures are given as they are coded.

    Raises SourceError if the file is no video that can be read, IncompleteRecordingError if it
    was cut off before its index.
    """

    def __init__(
        self,
        path: Path,
        *,
        limits: Limits,
        autorotate: bool,
        max_pixels: int,
        reader: FrameReader,
    ) -> None:
        super().__init__(limits)
        path = Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` would follow links
        check_file(path)
        self._container, self._stream = _open(path, max_pixels, reader.hwaccel)
        self._reader = reader
        self._autorotate = autorotate
        self._path = path
        self._decoded = 0
        self._concealed = 0
        self._error: FFmpegError | None = None
        rate = _rate(self._stream)
        self._stamps = Stamps(_time_base(self._stream), rate)
        try:
            self._pictures = self._decode()
            self._first = next(self._pictures, None)
            if self._first is None:
                raise SourceError(self._nothing())
        except BaseException:
            self._release()
            raise
        self._size = (self._first.width, self._first.height)
        self.on_device = device_format(self._first)
        self._orientation = self._turn(self._first)
        self.info = self._describe(rate)
        self._greet()

    def _describe(self, rate: Fraction | None) -> SourceInfo:
        width, height = self._orientation.size(*self._size)
        aspect = self._stream.sample_aspect_ratio or Fraction(1)
        total = damage.estimated_frames(self._container, self._stream, rate)
        return SourceInfo(
            name=shown(self._path.name),
            kind="video",
            width=width,
            height=height,
            rate=rate,
            frames=self._limits.expected(total),
            time_base=_time_base(self._stream),
            path=self._path,
            inputs=(self._path,),
            aspect=1 / aspect if self._orientation.transpose else aspect,
        )

    @property
    def upright(self) -> bool:
        return self._orientation == UPRIGHT

    @property
    def coding(self) -> tuple[str, str | None]:
        """Codec and profile, as FFmpeg calls them; None for a profile that it has no name for."""
        context = self._stream.codec_context
        return context.name, context.profile

    def _greet(self) -> None:
        assert self._first is not None
        transfer = _HDR.get(self._first.color_trc)
        if transfer:
            self.notes.append(
                f"the video is HDR ({transfer}); it is read without tone mapping, so its colours "
                "are pale"
            )

    def _turn(self, frame: av.VideoFrame) -> Orientation:
        # A frame on the GPU is only asked for where the first one was found to be upright.
        return orientation_of(frame) if self._autorotate and not device_format(frame) else UPRIGHT

    # Reading

    def _raw(self) -> Iterator[Decoded]:
        assert self._first is not None
        first, self._first = self._first, None
        for frame in chain((first,), self._pictures):
            yield frame, self._stamps.next(frame.pts)

    def _frame(self, index: int, raw: Decoded) -> Frame:
        frame, pts = raw
        if (frame.width, frame.height) != self._size:
            self._resized(frame, index)
        image = self._reader.read(frame)
        if not isinstance(image, DevicePicture):
            image = self._orientation.picture(image)
        return Frame(image, index, pts, self.info.time_base, frame.is_corrupt)

    def _resized(self, frame: av.VideoFrame, index: int) -> None:
        before, self._size = self._size, (frame.width, frame.height)
        self._orientation = self._turn(frame)
        self.notes.append(
            f"frame {index}: the size changes from {before[0]}x{before[1]} to "
            f"{frame.width}x{frame.height}"
        )

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Frames in order of display; what fails is counted as lost."""
        end = self._path.stat().st_size
        for packet in self._packets():
            if packet.is_corrupt and packet.pos is not None and packet.pos + packet.size >= end:
                # Cut off by the end of the file. Decoding it would fail, and with threads take
                # the frames that are still inside the decoder with it.
                self._lost += 1
                continue
            try:
                frames = packet.decode()
            except FFmpegError as exc:
                self._error = exc
                self._lost += 1
                continue
            for frame in frames:
                self._decoded += 1
                self._concealed += frame.is_corrupt
                yield frame

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """All packets of the stream, and an empty one at the end that flushes the decoder.

        After an interruption there are no more.
        """
        tries = 0
        while tries < _TRIES:
            try:
                for packet in self._container.demux(self._stream):
                    if self._interrupted.is_set():
                        return
                    tries = 0
                    yield packet
                return
            except FFmpegError as exc:  # PyAV's iterator is over; FFmpeg can often read on
                self._error = exc
                tries += 1
        flush = cast("Packet[VideoStream]", Packet())
        flush.stream = self._stream
        yield flush

    # The end

    def _conclude(self, *, complete: bool) -> None:
        if complete and damage.is_cut(self._path, self._container, self._stream):
            self._count_missing("cut short")
        elif self._lost or self._concealed or self._error:
            self._count_missing("damaged", exact=complete)
        if self._concealed:
            self.notes.append(f"damage was concealed by the decoder in {self._concealed} frame(s)")
        if self._stamps.repaired:
            self.notes.append(
                f"{self._stamps.repaired} time stamp(s) were missing or did not rise; they were "
                "replaced by rising ones"
            )

    def _count_missing(self, what: str, *, exact: bool = True) -> None:
        """Count the frames that the index names and the decoder never gave."""
        declared = damage.declared_frames(self._container, self._stream, self.info.rate)
        if exact and declared is not None:
            self._lost = max(self._lost, declared - self._decoded)
        if self._lost:
            total = self._decoded + self._lost
            self.notes.append(f"decoded {self._decoded} of {total} frames; the file is {what}")

    def _nothing(self) -> str:
        reason = f": {self._error.strerror}" if self._error else ""
        return (
            f"no frame of {shown(self._path)} could be decoded{reason}; the file is damaged or "
            "its codec is not supported"
        )

    def _release(self) -> None:
        self._reader.close()
        self._container.close()


def _open(
    path: Path, max_pixels: int, hwaccel: HWAccel | None
) -> tuple[InputContainer, VideoStream]:
    # A size that grows later, or that FFmpeg finds by decoding, is refused by the decoder. It
    # counts whole blocks, so it gets some room.
    guard = {"max_pixels": str(max_pixels + max_pixels // 8 + 4096)}
    # Only files: whatever a file refers to, no other protocol is followed.
    options = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS, **guard}
    try:
        container = av.open(str(path), options=options, metadata_errors="replace", hwaccel=hwaccel)
    except (FFmpegError, ValueError) as exc:
        raise unreadable(path, getattr(exc, "strerror", str(exc))) from exc
    try:
        stream = _video_stream(container, path)
        _check_pixels(stream, path, max_pixels)
    except BaseException:
        container.close()
        raise
    # Each thread of a decoder on the GPU would take surfaces of its pool.
    stream.thread_type = "AUTO" if hwaccel is None else "NONE"
    stream.codec_context.options = guard
    return container, stream


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first video stream that is not a cover picture."""
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:
            continue
        if stream.codec_context is None:
            raise SourceError(f"{shown(path)} is coded in a way that no decoder here can read")
        return stream
    kinds = sorted({stream.type for stream in container.streams})
    raise SourceError(
        f"{shown(path)} has no video stream (it has {', '.join(kinds) or 'no streams'}); expected "
        "a file with pictures"
    )


def _check_pixels(stream: VideoStream, path: Path, max_pixels: int) -> None:
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > max_pixels:
        raise SourceError(
            f"{shown(path)} is {width}x{height}, more than {max_pixels} pixels; raise max_pixels "
            "(--max-pixels) if you trust the file"
        )


def _time_base(stream: VideoStream) -> Fraction:
    return stream.time_base or Fraction(1, 90_000)


def _rate(stream: VideoStream) -> Fraction | None:
    """Average frames per second; None where the header has no sensible value."""
    rate = stream.average_rate or stream.guessed_rate
    return rate if rate is not None and 0 < rate <= 1000 else None
