"""What a run tells its user: a progress bar, the status line of the video, a closing table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from rtseg.cli.building import BuildBars
from rtseg.closing import Closing

if TYPE_CHECKING:
    from rtseg.frame import Frame
    from rtseg.segmentation import Result
    from rtseg.segmenter import Segmenter
    from rtseg.timing import RateMeter, Summary
    from rtseg.video.base import SourceInfo
    from rtseg.video.sinks import StillSink, VideoSink

STAGES = (
    "decode", "upload", "preprocess", "inference", "postprocess", "overlay", "download", "write",
)  # fmt: skip


class Report(Closing):
    """Progress while a pipeline runs, on standard error; the summary, on standard output."""

    def __init__(
        self,
        segmenter: Segmenter,
        info: SourceInfo,
        shown: VideoSink | StillSink | None,
        *,
        quiet: bool = False,
    ) -> None:
        self._console = Console(highlight=False, quiet=quiet)
        terminal = Console(stderr=True, quiet=quiet)
        self._progress = Progress(
            TextColumn("[bold]{task.description}", markup=True),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[fps]:.0f} fps"),
            TimeRemainingColumn(),
            console=terminal,
            transient=True,
            disable=not terminal.is_terminal,
        )
        self._task = self._progress.add_task(escape(info.name), total=info.frames, fps=0.0)
        self._meter: RateMeter | None = None
        self._engine = describe_engine(segmenter, info)
        self._info, self._shown = info, shown
        self._memory = segmenter.memory if segmenter.on_device else None
        self._streams = segmenter.streams
        self._written = 0

    def __enter__(self) -> Self:
        info = self._info
        rate = f" @ {float(info.rate):.5g} fps" if info.rate else ""
        self._console.print(
            f"[bold]{escape(info.name)}[/]  {info.width}x{info.height}{rate}\n"
            f"  →  {self._engine}{self._encoder()}"
        )
        self._progress.start()
        return self

    def close(self) -> None:
        """Take the progress bar away."""
        self._progress.stop()

    def _encoder(self) -> str:
        effort = getattr(self._shown, "effort", None)  # a picture is not encoded as video
        return f"  →  {effort}" if effort else ""

    def follow(self, meter: RateMeter) -> None:
        """Show the rate of this meter."""
        self._meter = meter

    def frame(self, _result: Result) -> None:
        """One frame was written."""
        self._written += 1
        rate = self._meter.rate if self._meter else 0.0
        self._progress.update(self._task, completed=self._written, fps=rate)

    def status(self, frame: Frame) -> str:
        """The status line: model, input size, engine, rate, time of the frame."""
        return status_line(self._engine, self._meter.rate if self._meter else 0.0, frame)

    def finish(self, summary: Summary, notes: Sequence[str], outputs: Sequence[Path]) -> None:
        """Print counts, rate and where the time went; notes on what was odd; what was written."""
        self._progress.stop()
        for note in notes:
            self._console.print(f"[yellow]note:[/] {escape(note)}")
        s = summary
        self._console.print(counts(s))
        if s.written >= 2 * self._streams + 2:  # fewer are over before the pipeline is full
            self._console.print(f"[bold]{s.fps:.1f} fps[/] over {s.seconds:.1f} s{self._share(s)}")
            self._console.print(stage_table(summary))
        if self._memory:
            self._console.print(f"device memory for frames: {self._memory}, fixed")
        for path in outputs:
            self._console.print(f"wrote [bold]{escape(str(path))}[/]")

    def _share(self, s: Summary) -> str:
        """Of what the cores allow; nothing on a GPU, where they wait for it."""
        if self._memory is not None:
            return ""
        return f", {100 * s.fps / s.bound:.0f} % of what {s.cores} cores allow ({s.bound:.1f} fps)"


def counts(s: Summary) -> str:
    """The sentence that adds up."""
    frames = "frame" if s.frames_in == 1 else "frames"
    return (
        f"{s.frames_in} {frames} in = {s.written} written + {s.dropped} dropped + "
        f"{s.failed} failed"
        + (f"; {s.corrupt} damaged" if s.corrupt else "")
        + (f"; {s.invalid} without an answer" if s.invalid else "")
        + ("; stopped early" if s.stopped else "")
    )


@contextmanager
def preparing(*, quiet: bool = False) -> Iterator[BuildBars]:
    """A spinner while engine and kernels are compiled, on a terminal; bars in its place once a
    builder says how far it is."""
    terminal = Console(stderr=True, quiet=quiet, highlight=False)
    what = "compiling engine and kernels (10 s the first time, then kept)"
    with terminal.status(what) as spinner, BuildBars(terminal, spinner.stop) as bars:
        yield bars


def stage_table(summary: Summary) -> Table:
    """Milliseconds by stage. Stages run side by side, so that they add up to more than a frame."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("stage")
    for name in ("median ms", "mean", "p99"):
        table.add_column(name, justify="right")
    for name in STAGES:
        if name in summary.stages:
            row = summary.stages[name]
            table.add_row(name, f"{row.median:.2f}", f"{row.mean:.2f}", f"{row.p99:.2f}")
    return table


def describe_engine(segmenter: Segmenter, info: SourceInfo) -> str:
    """ "dilanet-m 552x312 · openvino f32" """
    engine = segmenter.engine(info.width, info.height)
    assert segmenter.size is not None
    size = "x".join(map(str, segmenter.size))
    return f"{segmenter.model.contract.name} {size}  ·  {engine.name} {engine.precision}"


def status_line(engine: str, rate: float, frame: Frame) -> str:
    """What stands below the picture; rate 0: none is known yet."""
    return f"{engine}  ·  {f'{rate:.0f} fps' if rate else 'starting'}  ·  {clock(frame)}"


def clock(frame: Frame) -> str:
    """Minutes and seconds of a frame to a tenth, or its number where it has no time."""
    if frame.seconds is None:
        return f"frame {frame.index}"
    minutes, seconds = divmod(max(0.0, frame.seconds), 60)
    return f"{int(minutes):02d}:{seconds:04.1f}"
