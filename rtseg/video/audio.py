"""Sound of the input, copied into the output without being decoded."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet

from rtseg.video.base import shown
from rtseg.video.probe import DEMUXERS

Sound: TypeAlias = "Packet[AudioStream]"


class Track:
    """One audio stream on its way from the input to the output."""

    def __init__(self, source: AudioStream, output: OutputContainer) -> None:
        self._stream = output.add_stream_from_template(source)
        self._output = output
        self.rate: int = source.codec_context.sample_rate or 1
        self._last: int | None = None
        self._filter: BitStreamFilterContext | None = None
        # Matroska has no times below 0. FFmpeg would move all streams; the lead-in of the sound,
        # which only primes its decoder, is dropped instead.
        self._earliest = 0 if output.format.name == "matroska" else None
        if source.codec_context.name.startswith("aac") and not source.codec_context.extradata:
            # Transport streams repeat AAC's header in each packet; mp4 wants it once. FFmpeg does
            # this by itself, but not where the file's header is delayed.
            self._filter = BitStreamFilterContext("aac_adtstoasc", source)

    def copy(self, packet: Sound, base: Fraction) -> None:
        """Write a packet, `base` seconds earlier; one that goes back in time is left out."""
        assert packet.dts is not None
        shift = round(base / packet.time_base)
        packet.dts -= shift
        packet.pts = None if packet.pts is None else packet.pts - shift
        if self._last is not None and packet.dts <= self._last:
            return
        if self._earliest is not None and packet.dts < self._earliest:
            return
        self._last = packet.dts
        for ready in self._filter.filter(packet) if self._filter else (packet,):
            ready.stream = self._stream
            self._output.mux(ready)


class AudioCopy:
    """Moves the sound of one file into another, in step with its video.

    The file is opened a second time, beside the source that reads its pictures. Streams that the
    output cannot hold are left out, with a note; where the sound is damaged it ends, with a note.
    """

    def __init__(self, path: Path, output: OutputContainer, notes: list[str]) -> None:
        self._notes = notes
        self._name = shown(path.name)
        self._input = _open(path)
        if self._input is None:
            notes.append(f"no sound was copied: {self._name} could not be opened for it")
        self._tracks = self._add_tracks(output)
        self._packets = self._demux()
        self._waiting = next(self._packets, None)
        self.start = _time(self._waiting) if self._waiting else None
        """Seconds at which the sound starts; None if there is none."""
        self.rates = tuple(track.rate for track in self._tracks.values())
        """Samples per second of each track."""

    def _add_tracks(self, output: OutputContainer) -> dict[int, Track]:
        """Tracks by the stream index of the input."""
        container = output.format.name
        tracks: dict[int, Track] = {}
        for stream in self._input.streams.audio if self._input else ():
            if _is_accepted(stream, container):
                tracks[stream.index] = Track(stream, output)
            else:
                self._notes.append(
                    f"sound ({_codec_name(stream)}) was left out: {container} cannot hold it"
                )
        return tracks

    def _demux(self) -> Iterator[Sound]:
        if self._input is None or not self._tracks:
            return
        wanted = tuple(s for s in self._input.streams.audio if s.index in self._tracks)
        try:
            for packet in self._input.demux(wanted):
                if packet.dts is not None:
                    yield packet
        except FFmpegError as exc:
            self._notes.append(f"the sound of {self._name} ends early: {exc.strerror}")

    def copy_until(self, seconds: Fraction, base: Fraction) -> None:
        """Write the packets that start before `seconds` of the input and were not written yet.

        base: the time of the input that is 0 in the output.
        """
        while self._waiting is not None and _time(self._waiting) < seconds:
            try:
                self._tracks[self._waiting.stream_index].copy(self._waiting, base)
            except FFmpegError as exc:
                if isinstance(exc, OSError):  # the disk, not the sound
                    raise
                self._notes.append(f"the sound of {self._name} ends early: {exc.strerror}")
                self._packets = iter(())
            self._waiting = next(self._packets, None)

    def close(self) -> None:
        if self._input is not None:
            self._input.close()


def _time(packet: Sound) -> Fraction:
    assert packet.dts is not None
    return packet.dts * packet.time_base


def _open(path: Path) -> InputContainer | None:
    options = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}
    try:
        return av.open(str(path), options=options, metadata_errors="replace")
    except (FFmpegError, ValueError):
        return None


def _is_accepted(stream: AudioStream, container: str) -> bool:
    """Whether a container takes a stream, found by writing the header of an empty file."""
    if not _codec_name(stream):
        return False
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (FFmpegError, ValueError):
        return False
    return True


def _codec_name(stream: Any) -> str:
    """Name of the stream's codec, "" if FFmpeg has no decoder for it."""
    return stream.codec_context.name if stream.codec_context else ""
