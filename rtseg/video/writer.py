"""`VideoSink`: results as H.264 video in mp4, mov or mkv."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TypeGuard

import numpy as np

from rtseg.device.memory import Form, Memory, Ring
from rtseg.device.transfer import to_host
from rtseg.errors import OutputError
from rtseg.frame import (
    ColourMatrix,
    DevicePicture,
    Frame,
    Picture,
    Yuv420,
    empty_like,
    size_of,
)
from rtseg.segmentation import Result
from rtseg.video import nvenc
from rtseg.video.base import Encoding, SourceInfo
from rtseg.video.codecs import (
    NVENC_PRESET,
    Effort,
    VideoFormat,
    default_preset,
    default_threads,
)
from rtseg.video.encoder import Encoder, container_of
from rtseg.video.output import BaseSink, check_output
from rtseg.video.pictures import Canvas, CanvasPool, copy, fit

_USUAL_RATE = Fraction(25)


class VideoSink(BaseSink):
    """Writes the pictures of results as a video, each at the time of its frame.

    path: a name that ends in .mp4, .mov or .mkv. Times are exact in mp4 and mov, to the
        millisecond in mkv.
    info: of the source. It gives the size; an odd one is padded to even by repeating the edge,
        and pictures of another size are scaled to fit, with black borders.
    preset, crf, threads: of x264; by default what suits the number of cores.
    encoder: "x264" on the processor, "nvenc" on the GPU; "auto" is x264 until `stay_on_gpu`.
    audio_from: a file whose sound is copied, up to the end of the last picture.
    overwrite: whether a file that exists may be replaced.

    Colours keep the matrix and the range of the first picture, and are tagged so; BGR becomes
    BT.709, 16–235. There are no B-frames: on dashcam video they cost a quarter more time and gave
    no better picture. The file can be played at any time, up to the last second, even if this
    process is killed.

    Only `picture_for` may be called by several threads at a time.

    The file is created by `with`, or by the first `write`, and removed if no frame was written.

    Raises OutputError if `path` cannot be written or leads to an input of `info`, before anything
    is touched.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        info: SourceInfo,
        preset: str | None = None,
        crf: int = 23,
        threads: int | None = None,
        encoder: Encoding = "x264",
        audio_from: Path | None = None,
        overwrite: bool = False,
    ) -> None:
        super().__init__()
        self.path = Path(path)
        self.info = info
        self._auto = encoder == "auto" and preset is None
        self._ring: Ring | None = None
        self._frames = nvenc.FrameMaker()
        self.effort = Effort(preset or default_preset(), crf, threads or default_threads())
        if encoder == "nvenc":
            self._use_nvenc(preset)
        container_of(self.path)
        inputs = (*info.inputs, audio_from) if audio_from else info.inputs
        check_output(self.path, inputs=inputs, overwrite=overwrite)
        self._overwrite = overwrite
        self._audio_from = audio_from
        self._pool = CanvasPool(info.width, info.height)
        self._colours: tuple[ColourMatrix, bool] | None = None
        # Time stamps, in units of info.time_base.
        self._last: int | None = None
        self._step = max(1, round(1 / ((info.rate or _USUAL_RATE) * info.time_base)))
        self._scaled = False

    def _open(self) -> None:
        self._encoder = Encoder(
            self.path, self.effort, time_base=self.info.time_base, overwrite=self._overwrite
        )

    def stay_on_gpu(self, memory: Memory, in_flight: int) -> None:
        """Take pictures from workers on the GPU, before the first of them; a note says why they
        are encoded on the processor, if they are.

        memory: counts what the pictures take; in_flight: how many there are. Raises EngineError.
        """
        width, height = self.info.width, self.info.height
        if self._auto:
            reason = nvenc.missing(width, height)
            if reason is not None:
                self.notes.append(f"encoded on the processor; NVENC is not used: {reason}")
            else:
                self.effort = Effort(NVENC_PRESET, self.effort.crf, 1, "nvenc")
        if self.effort.codec == "nvenc" and width % 2 == height % 2 == 0:
            self._ring = Ring(Form("nv12", width, height), in_flight, memory)

    def _use_nvenc(self, preset: str | None) -> None:
        """Raises OutputError if it cannot be used."""
        if preset is not None:
            raise OutputError(f"the preset {preset!r} is for x264; leave it out with nvenc")
        reason = nvenc.missing(self.info.width, self.info.height)
        if reason is not None:
            raise OutputError(f"NVENC cannot be used: {reason}; use --encoder auto or x264")
        self.effort = Effort(NVENC_PRESET, self.effort.crf, 1, "nvenc")

    def picture_for(self, frame: Frame) -> Picture | DevicePicture:
        """A picture of the frame's size and colours to draw on and to hand to `write`.

        It is on the GPU if NVENC encodes what workers on the GPU paint (`stay_on_gpu`): frames in
        nv12, or in planes in the machine's memory, which they upload as that.

        The planes of a `Yuv420` are the memory that will be encoded; their content is unknown.
        After `write` the picture is the sink's again and must not be touched. A picture that is
        not written may simply be dropped.
        """
        image = frame.image
        if isinstance(image, np.ndarray) or size_of(image) != self._pool.size:
            return empty_like(image)
        layout = image.layout if isinstance(image, DevicePicture) else "nv12"
        if layout == "bgr":
            return empty_like(image)
        lender = self._ring if self._ring and layout == "nv12" else self._pool
        return lender.lend(image.matrix, image.full_range)

    def write(self, result: Result) -> None:
        """Encode `result.picture`.

        Raises ValueError if it has none, SinkError if the file cannot be written any more.
        """
        picture = result.picture
        if picture is None:
            raise ValueError(f"frame {result.frame.index} has no picture to write")
        self._ensure_open()
        pts = self._stamp(result.frame)
        if self._colours is None:
            self._start(picture, pts)
        if self._encodes(picture):
            self._encoder.encode(self._frames.frame(picture), pts)
        else:
            canvas = self._canvas(to_host(picture))
            canvas.pad(*self._pool.size)
            self._encoder.encode(canvas.frame, pts)
            self._pool.give_back(canvas)
        self._last = pts
        self.written += 1

    def _finish(self) -> None:
        """Finish the file and count its frames."""
        self._encoder.finish(0 if self._last is None else self._last + self._step)

    def _encodes(self, picture: Picture | DevicePicture) -> TypeGuard[DevicePicture]:
        """Whether NVENC takes the picture from where it is."""
        return (
            self._ring is not None
            and isinstance(picture, DevicePicture)
            and Form.of(picture) == self._ring.form
            and self._colours == (picture.matrix, picture.full_range)
        )

    def _start(self, picture: Picture | DevicePicture, pts: int) -> None:
        """Write the header: the first picture decides on the colours."""
        colours: tuple[ColourMatrix, bool] = ("bt709", False)
        if isinstance(picture, Yuv420) or Form.of(picture).layout == "nv12":
            assert isinstance(picture, Yuv420 | DevicePicture)
            colours = (picture.matrix, picture.full_range)
        self._colours = colours
        info = self.info
        width, height = info.width + info.width % 2, info.height + info.height % 2
        if (width, height) != (info.width, info.height):
            self.notes.append(
                f"{info.width}x{info.height} was padded to {width}x{height}; H.264 players need "
                "even sizes"
            )
        video = VideoFormat(width, height, info.rate or _USUAL_RATE, *colours, info.aspect)
        self._encoder.start(video, pts, self._audio_from, self.notes)

    def _stamp(self, frame: Frame) -> int:
        """The frame's time in units of `info.time_base`, later than the last; one without a time
        follows the last at the source's rate."""
        if frame.pts is None:
            pts = 0 if self._last is None else self._last + self._step
        else:
            pts = round(frame.pts * frame.time_base / self.info.time_base)
        if self._last is not None and pts <= self._last:
            pts = self._last + 1
        return pts

    # Pictures

    def _canvas(self, picture: Picture) -> Canvas:
        """The picture on a canvas of the pool, in the colours of this video."""
        if isinstance(picture, Yuv420):
            claimed = self._pool.claim(picture)
            if claimed is not None and self._colours == (picture.matrix, picture.full_range):
                return claimed
        planes = self._planes(picture)
        canvas = self._pool.take()
        area = canvas.area(*self._pool.size, planes.matrix, planes.full_range)
        if size_of(planes) == self._pool.size:
            copy(planes, area)
        else:
            self._note_scaling(planes)
            fit(planes, area)
        return canvas

    def _planes(self, picture: Picture) -> Yuv420:
        assert self._colours is not None
        if isinstance(picture, Yuv420) and self._colours == (picture.matrix, picture.full_range):
            return picture
        from rtseg.kernels import cpu

        width, height = size_of(picture)
        planes = Canvas.blank(width, height).area(width, height, *self._colours)
        cpu.from_bgr(cpu.to_bgr(picture), planes)
        return planes

    def _note_scaling(self, picture: Yuv420) -> None:
        if not self._scaled:
            self.notes.append(
                f"frame {self.written} is {picture.width}x{picture.height}; frames of another "
                f"size were scaled to the video's {self.info.width}x{self.info.height}"
            )
        self._scaled = True
