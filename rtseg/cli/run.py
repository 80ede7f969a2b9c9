"""`rtseg run`: a source in, a segmented video, masks or a log out."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtseg.cli import options, placing
from rtseg.errors import InputError

if TYPE_CHECKING:
    from rtseg.overlay import Overlay
    from rtseg.pipeline import Pipeline
    from rtseg.segmenter import Segmenter
    from rtseg.video.base import Decoder
    from rtseg.video.sinks import Sink, StillSink, VideoSink
    from rtseg.video.sources import Source


def run(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            help="A video, an image, a folder or glob of images, or synthetic:1280x720@30."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Video, or picture of an image; default <stem>_seg.mp4, here.",
        ),
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write class ids as 8-bit PNG.")
    ] = None,
    jsonl: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a line of JSON a frame.")
    ] = None,
    overlay: Annotated[bool, typer.Option("--overlay/--no-overlay", help="Write a video.")] = True,
    alpha: Annotated[float, typer.Option(help="Opacity of the colours, 0–1.")] = 0.5,
    classes: Annotated[
        str | None, typer.Option(help="Classes or groups to show, such as road,car,vulnerable.")
    ] = None,
    legend: Annotated[bool, typer.Option(help="Show legend and status line.")] = True,
    model: options.Model = "dilanet-m",
    size: options.Size = None,
    backend: options.Backend = "auto",
    engine: options.EngineFile = None,
    precision: options.PrecisionName = "auto",
    max_frames: Annotated[int | None, typer.Option(help="Stop after this many frames.")] = None,
    max_pixels: Annotated[int, typer.Option(help="Refuse larger pictures.")] = 100_000_000,
    matrix: Annotated[
        str | None, typer.Option(help="YUV matrix, bt601, bt709 or bt2020; default the file's.")
    ] = None,
    vid_stride: Annotated[int, typer.Option(help="Take every n-th frame only.")] = 1,
    autorotate: Annotated[bool, typer.Option(help="Turn pictures as their file says.")] = True,
    preset: Annotated[
        str | None, typer.Option(help="x264 preset, ultrafast … veryslow; default keeps up.")
    ] = None,
    crf: Annotated[int, typer.Option(help="Quality of the video, 0 (best) – 51.")] = 23,
    decoder: placing.DecoderName = "auto",
    encoder: placing.EncoderName = "auto",
    streams: Annotated[
        int | None, typer.Option(min=1, help="Frames segmented at a time; default one a core.")
    ] = None,
    audio: Annotated[bool, typer.Option(help="Copy the sound of a video.")] = True,
    yes: options.Yes = False,
    no: options.No = False,
    quiet: options.Quiet = False,
) -> None:
    """Segment a video, images or the synthetic scene."""
    if not overlay and not (masks or jsonl):
        raise InputError("--no-overlay leaves nothing to write; add --masks DIR or --jsonl FILE")
    if not overlay and output:
        raise InputError("--output is the overlay video, which --no-overlay leaves out; drop one")
    job = Job(
        source=source,
        output=(output or default_output(source)) if overlay else None,
        masks=masks,
        jsonl=jsonl,
        alpha=alpha,
        classes=classes,
        legend=legend,
        engine={
            **options.parse_engine(context, engine, model, size, backend),
            "precision": options.parse_precision(precision),
        },
        reading={
            "max_frames": max_frames,
            "vid_stride": vid_stride,
            "autorotate": autorotate,
            "max_pixels": max_pixels,
            "matrix": options.parse_matrix(matrix),
        },
        decoder=placing.parse_decoder(decoder),
        encoding={"preset": preset, "crf": crf, "encoder": placing.parse_encoder(encoder)},
        streams=streams,
        audio=audio,
        overwrite=(yes, no),
    )
    code = execute(job, quiet=quiet)
    if code:
        raise typer.Exit(code)


@dataclass(frozen=True, slots=True)
class Job:
    """The options of a run, read and checked for themselves.

    engine: those of `Segmenter` about it. overwrite: -y, -n.
    """

    source: str
    output: Path | None
    masks: Path | None
    jsonl: Path | None
    alpha: float
    classes: str | None
    legend: bool
    engine: dict[str, Any]
    reading: dict[str, Any]
    decoder: Decoder
    encoding: dict[str, Any]
    streams: int | None
    audio: bool
    overwrite: tuple[bool, bool]


def default_output(source: str) -> Path:
    """`<stem>_seg.mp4` in the current folder, for a path, a glob or a synthetic scene."""
    if source.startswith("synthetic:"):
        return Path("synthetic_seg.mp4")
    path = Path(source)
    stem = path.resolve().name if path.is_dir() else path.stem
    if not path.exists() and any(c in stem for c in "*?["):
        stem = path.parent.resolve().name
    return Path(f"{stem or 'video'}_seg.mp4")


def execute(job: Job, *, quiet: bool) -> int:
    """Run a job and report on it; the exit code. Nothing is written before all is checked."""
    from rtseg.cli.report import Report, preparing
    from rtseg.pipeline import Pipeline, painter
    from rtseg.video.sources import open_source

    with ExitStack() as stack:
        segmenter, overlay = prepare(job)
        stack.enter_context(segmenter)
        source = stack.enter_context(open_source(job.source, **job.reading))
        sinks, shown = sinks_of(job, source)
        with preparing(quiet=quiet) as bars:
            engine = segmenter.engine(
                source.info.width, source.info.height, progress=bars.tell, say=bars.say
            )
        source = stack.enter_context(placing.placed(job, source, segmenter, shown))
        for sink in sinks:
            stack.enter_context(sink)
        report = stack.enter_context(Report(segmenter, source.info, shown, quiet=quiet))
        status = report.status if job.legend else lambda _: ""
        paint = painter(overlay, shown.picture_for, status) if shown else None
        pipeline = Pipeline(source, segmenter, sinks, painter=paint)
        report.follow(pipeline.meter)
        with stopping_on_signals(pipeline) as signals:
            summary = pipeline.run(on_frame=report.frame)
    notes = [*engine.notes, *source.notes]
    notes += [note for sink in sinks for note in sink.notes]
    outputs = [p for p in (job.output, job.masks, job.jsonl) if p and p.exists()]
    report.finish(summary, notes, outputs if summary.written else ())
    return signals[-1] if signals else 0


def prepare(job: Job) -> tuple[Segmenter, Overlay]:
    """What segments and what is painted; nothing is compiled yet. Raises InputError, ModelError."""
    from rtseg.hardware import cpu_count
    from rtseg.overlay import Overlay
    from rtseg.segmenter import Segmenter

    segmenter = Segmenter(streams=job.streams or min(cpu_count(), 8), **job.engine)
    classes = segmenter.model.classes
    visible = None
    if job.classes is not None:
        visible = classes.ids(name.strip() for name in job.classes.split(","))
    return segmenter, Overlay(classes, alpha=job.alpha, visible=visible, legend=job.legend)


def sinks_of(job: Job, source: Source) -> tuple[list[Sink], VideoSink | StillSink | None]:
    """All outputs, checked but not opened, and the one of them that shows pictures."""
    from rtseg.video.output import check_output
    from rtseg.video.sinks import JsonlSink, MaskSink

    yes, no = job.overwrite
    inputs = source.info.inputs
    files = [path for path in (job.output, job.jsonl) if path]
    _refuse_shared(files, job.masks)
    for path in files:
        check_output(path, inputs=inputs, overwrite=None)
    overwrite = options.may_overwrite(files, yes=yes, no=no)
    sinks: list[Sink] = []
    if job.masks:
        sinks.append(MaskSink(job.masks, names=source.names, inputs=inputs, overwrite=yes))
    if job.jsonl:
        sinks.append(JsonlSink(job.jsonl, inputs=inputs, overwrite=overwrite))
    if job.output is None:
        return sinks, None
    # The last one: pictures are the video's again once they are written.
    shown = _shown(job, job.output, source, overwrite)
    return [*sinks, shown], shown


def _refuse_shared(files: list[Path], masks: Path | None) -> None:
    """Raise InputError if two outputs are one file, or one could be the name of a mask."""
    real = [path.resolve() for path in files]
    if len(set(real)) < len(real):
        raise InputError(f"{files[0]} is named twice; give each output a file of its own")
    for path in real:
        if masks and path.parent == masks.resolve() and path.suffix.lower() == ".png":
            raise InputError(f"{path.name} lies in the folder of the masks; give it another one")


def _shown(job: Job, path: Path, source: Source, overwrite: bool) -> VideoSink | StillSink:
    from rtseg.video.sinks import StillSink, VideoSink

    if path.suffix.lower() in StillSink.ENDINGS:
        return StillSink(path, info=source.info, overwrite=overwrite)
    sound = source.info.path if job.audio and source.info.kind == "video" else None
    return VideoSink(path, info=source.info, audio_from=sound, overwrite=overwrite, **job.encoding)


@contextmanager
def stopping_on_signals(pipeline: Pipeline) -> Iterator[list[int]]:
    """SIGINT and SIGTERM end the run in order; a second one interrupts at once.

    Yields a list to which the exit code (130 or 143) is added when that happens.
    """
    codes: list[int] = []

    def stop(number: int, _frame: object) -> None:
        if codes:
            raise KeyboardInterrupt
        codes.append(128 + number)
        pipeline.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield codes
    finally:
        restore: Callable[..., Any] = signal.signal
        for number, handler in before.items():
            restore(number, handler)
