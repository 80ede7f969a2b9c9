"""libx264 and the container around it: one video stream, perhaps sound, one file."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from pathlib import Path

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.frame import PictureType
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc
from av.video.stream import VideoStream

from rtseg.errors import OutputError, SinkError
from rtseg.frame import ColourMatrix
from rtseg.hardware import cpu_count
from rtseg.video.audio import AudioCopy
from rtseg.video.base import shown
from rtseg.video.output import OutputFile

PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
)  # fmt: skip

_FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}

# An mp4 is written as fragments of half a second, which can be played up to the last one if the
# process is killed, and turned into a regular file at the end. With `delay_moov` the times of the
# first frames are known when the header is written, so that they are exact in both forms.
_ISO = {
    "movflags": "hybrid_fragmented+delay_moov",
    "frag_duration": "500000",  # µs
    "flush_packets": "1",
}
_MATROSKA = {"cluster_time_limit": "500", "flush_packets": "1"}  # ms
_INT_MAX = 2**31 - 1
_KEY_SECONDS = 1  # between frames at which a player can start

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
    """How x264 works: its preset, its quality (crf, smaller is better), its threads."""

    preset: str
    crf: int
    threads: int

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise OutputError(f"unknown preset {self.preset!r}; expected {', '.join(PRESETS)}")
        if not 0 <= self.crf <= 51:
            raise OutputError(f"a crf of {self.crf}; expected 0 (lossless) to 51 (worst)")
        if self.threads < 1:
            raise OutputError(f"{self.threads} encoder threads; expected 1 or more")


def container_of(path: Path) -> str:
    """FFmpeg's name of the container a file name asks for. Raises OutputError for others."""
    container = _FORMATS.get(path.suffix.lower())
    if container is None:
        raise OutputError(
            f"{shown(path)} ends in {path.suffix or 'nothing'}; expected "
            f"{', '.join(_FORMATS)}, which can hold the video"
        )
    return container


class Encoder:
    """Encodes frames into a file that is created at once and can be played at any time.

    Errors of FFmpeg and of the disk become SinkError; what was written until then is left as it
    is, so that it can be played.
    """

    def __init__(self, path: Path, effort: Effort, *, time_base: Fraction, overwrite: bool) -> None:
        """time_base: seconds per unit of time stamps. Raises OutputError if the file cannot be
        opened."""
        container = container_of(path)
        self._path = path
        self._effort = effort
        self._file = OutputFile(path, overwrite=overwrite)
        self._container: OutputContainer = av.open(
            self._file,
            "w",
            format=container,
            container_options=dict(_MATROSKA if container == "matroska" else _ISO),
        )
        self._stream: VideoStream | None = None
        self._audio: AudioCopy | None = None
        # Time stamps, in units of the time base.
        self._time_base = time_base
        self._base = 0  # of the input, is 0 in the output
        self._next_key: int | None = None
        self._key_interval = max(1, int(_KEY_SECONDS / time_base))
        self.encoded = 0

    def start(
        self, video: VideoFormat, first: int, audio_from: Path | None, notes: list[str]
    ) -> None:
        """Write the header; to be called once, before the first frame, whose stamp is `first`.

        Raises SinkError.
        """
        self._stream = self._add_stream(video)
        if audio_from is not None:
            self._audio = AudioCopy(audio_from, self._container, notes)
        if "movflags" in self._container.container_options:
            units = str(self._movie_units())
            self._container.container_options["movie_timescale"] = units
        self._base = self._rebase(first)
        if self._base > 0:
            seconds = float(self._base * self._time_base)
            notes.append(f"the video starts at 0 s; its source starts at {seconds:.3f} s")
        try:
            self._container.start_encoding()
        except (FFmpegError, OSError, ValueError) as exc:
            raise self._broken(exc) from exc

    def _add_stream(self, video: VideoFormat) -> VideoStream:
        options = {
            "preset": self._effort.preset,
            "crf": str(self._effort.crf),
            "bf": "0",
            "forced-idr": "1",
        }
        stream = self._container.add_stream("libx264", rate=video.rate, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        context = stream.codec_context
        # Not slices: they are no faster, and the picture is worse at their edges.
        context.thread_count, context.thread_type = self._effort.threads, "FRAME"
        context.time_base = stream.time_base = self._time_base
        context.sample_aspect_ratio = video.aspect
        context.gop_size = max(1, round(video.rate * _KEY_SECONDS))
        context.colorspace, context.color_primaries, context.color_trc = _TAGS[video.matrix]
        context.color_range = ColorRange.JPEG if video.full_range else ColorRange.MPEG
        return stream

    def _movie_units(self) -> int:
        """Units per second in which an mp4 says when its tracks start, exact for all of them.

        By default they are milliseconds, which moves a track that starts late.
        """
        rates = self._audio.rates if self._audio is not None else ()
        exact = lcm(self._time_base.denominator, *rates)
        return exact if exact <= _INT_MAX else self._time_base.denominator

    def _rebase(self, first: int) -> int:
        """The time that becomes 0: that of the first picture or sound.

        Sound may start a little below 0 with a lead-in for its decoder; that is left as it is.
        """
        earliest = first
        if self._audio is not None and self._audio.start is not None:
            earliest = min(first, int(self._audio.start / self._time_base))
        return earliest if earliest > 0 else min(first, 0)

    def encode(self, frame: av.VideoFrame, pts: int) -> None:
        """Encode a frame at `pts`; its memory may be used again afterwards. Raises SinkError."""
        assert self._stream is not None
        key = self._next_key is None or pts >= self._next_key
        if key:
            self._next_key = pts + self._key_interval
        frame.pict_type = PictureType.I if key else PictureType.NONE
        frame.pts, frame.time_base = pts - self._base, self._time_base
        try:
            # Sound first: the muxer holds back whichever stream is ahead.
            self._copy_audio(pts)
            self._container.mux(self._stream.encode(frame))
        except (FFmpegError, OSError) as exc:
            raise self._broken(exc) from exc
        self.encoded += 1

    def _copy_audio(self, until: int) -> None:
        if self._audio is not None:
            self._audio.copy_until(until * self._time_base, self._base * self._time_base)

    def finish(self, end: int) -> None:
        """Write what is left, with the sound up to `end`, and make sure that it is all there.

        Without a frame the file is removed. After an error it is only closed. Raises SinkError.
        """
        try:
            if self._file.closed:
                return
            if self._stream is not None and self.encoded and self._file.error is None:
                self._copy_audio(end)
                self._container.mux(self._stream.encode(None))
                self._container.close()
        except (FFmpegError, OSError) as exc:
            raise self._broken(exc) from exc
        finally:
            self._close()
        self._verify()

    def _close(self) -> None:
        self._file.close()  # first, so that closing the container cannot write to it
        self._container.close()
        if self._audio is not None:
            self._audio.close()
        if not self.encoded:
            self._file.discard()

    def _verify(self) -> None:
        if self._file.error is not None:
            raise self._broken(self._file.error) from self._file.error
        if not self.encoded:
            return
        found = count_packets(self._path)
        if found != self.encoded:
            raise SinkError(
                f"{shown(self._path)} holds {found} of {self.encoded} frames that were written; "
                "check the disk and run again"
            )

    def _broken(self, exc: Exception) -> SinkError:
        """Close the file as it is, and say what happened."""
        cause = self._file.error or exc
        self._file.close()
        reason = getattr(cause, "strerror", None) or str(cause)
        left = "the part that was written is kept and can be played"
        return SinkError(
            f"writing {shown(self._path)} failed after {self.encoded} frames: {reason}; "
            f"{left if self.encoded else 'nothing is left of it'}"
        )


def count_packets(path: Path) -> int:
    """Video packets in a file. Raises SinkError if it cannot be read."""
    try:
        with av.open(str(path), options={"protocol_whitelist": "file"}) as container:
            packets = container.demux(container.streams.video[0])
            return sum(packet.size > 0 for packet in packets)
    except (FFmpegError, IndexError) as exc:
        raise SinkError(f"{shown(path)} was written but cannot be read again: {exc}") from exc


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
