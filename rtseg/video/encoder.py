"""An encoder and the container around it: one video stream, perhaps sound, one file."""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from pathlib import Path

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.frame import PictureType
from av.video.stream import VideoStream

from rtseg.errors import OutputError, SinkError
from rtseg.video.audio import AudioCopy
from rtseg.video.base import shown
from rtseg.video.codecs import KEY_SECONDS, Effort, VideoFormat, add_stream
from rtseg.video.output import OutputFile

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
        self._key_interval = max(1, int(KEY_SECONDS / time_base))
        self.encoded = 0

    def start(
        self, video: VideoFormat, first: int, audio_from: Path | None, notes: list[str]
    ) -> None:
        """Write the header; to be called once, before the first frame, whose stamp is `first`.

        Raises SinkError, and EngineError if CUDA cannot be started.
        """
        try:
            stream = add_stream(self._container, video, self._effort, self._time_base)
        except (FFmpegError, NotImplementedError) as exc:
            raise self._broken(exc) from exc
        self._stream = stream
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
