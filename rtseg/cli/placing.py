"""Where `rtseg run` decodes and encodes: on the GPU if the engine is there, where it can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from rtseg.errors import InputError
from rtseg.video.base import Decoder, Encoding

if TYPE_CHECKING:
    from rtseg.cli.run import Job
    from rtseg.segmenter import Segmenter
    from rtseg.video.sinks import StillSink, VideoSink
    from rtseg.video.sources import Source

DecoderName = Annotated[
    str, typer.Option("--decoder", help="Of videos: auto, software or nvdec (on the GPU).")
]
EncoderName = Annotated[
    str, typer.Option("--encoder", help="Of the video: auto, x264 or nvenc (on the GPU).")
]


def parse_decoder(text: str) -> Decoder:
    """The decoder of that name. Raises InputError for an unknown one."""
    if text in get_args(Decoder):
        return cast("Decoder", text)
    raise InputError(f"decoder {text!r}; expected {', '.join(get_args(Decoder))}")


def parse_encoder(text: str) -> Encoding:
    """The encoder of that name. Raises InputError for an unknown one."""
    if text in get_args(Encoding):
        return cast("Encoding", text)
    raise InputError(f"encoder {text!r}; expected {', '.join(get_args(Encoding))}")


def placed(
    job: Job, source: Source, segmenter: Segmenter, shown: VideoSink | StillSink | None
) -> Source:
    """The source, opened anew if its frames can stay on the GPU; the sink is told of them.

    Raises InputError for a decoder that the engine cannot use.
    """
    from rtseg.pipeline import in_flight
    from rtseg.video.sinks import VideoSink
    from rtseg.video.sources import open_source

    if not segmenter.on_device:
        _refuse_nvdec(job, segmenter, source)
        return source
    count = in_flight(segmenter.streams)
    if isinstance(shown, VideoSink):
        shown.stay_on_gpu(segmenter.memory, count)
    if source.info.kind != "video" or job.decoder == "software":
        _refuse_nvdec(job, segmenter, source)
        return source
    source.close()
    return open_source(
        job.source, **job.reading, decoder=job.decoder, memory=segmenter.memory, in_flight=count
    )


def _refuse_nvdec(job: Job, segmenter: Segmenter, source: Source) -> None:
    if job.decoder != "nvdec":
        return
    info = source.info
    if info.kind != "video":
        raise InputError(f"--decoder nvdec is for video files; {info.name} is none")
    engine = segmenter.engine(info.width, info.height)
    raise InputError(
        f"--decoder nvdec keeps frames on the GPU, but the engine, {engine.name}, runs on the "
        "processor; use --decoder auto, or a --backend that runs on the GPU"
    )
