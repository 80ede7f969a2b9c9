"""`rtseg demo`: the whole path on a clip that is rendered here, with exact labels."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtseg.cli import options
from rtseg.closing import Closing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtseg.metrics import ConfusionMatrix
    from rtseg.segmentation import Result
    from rtseg.segmenter import Segmenter


OUTPUT = Path("rtseg_demo.mp4")
"""The demo's own file, which it replaces without asking."""

STREET = 14
"""A sunny one that no shipped model was trained on: those saw streets 0–11."""


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Video to write.")] = OUTPUT,
    model: options.Model = "dilanet-m",
    frames: Annotated[int, typer.Option(min=1, help="Length of the clip.")] = 180,
    size: Annotated[str, typer.Option(metavar="WxH", help="Size of the clip.")] = "1280x720",
    seed: Annotated[int, typer.Option(help="Which street to drive along.")] = STREET,
    yes: options.Yes = False,
    no: options.No = False,
    quiet: options.Quiet = False,
) -> None:
    """Render a driving clip, segment it, and measure accuracy and speed."""
    from rtseg.hardware import cpu_count
    from rtseg.segmenter import Segmenter
    from rtseg.video.encoder import container_of
    from rtseg.video.output import check_output

    width, height = options.parse_size(size) or (1280, 720)
    container_of(output)
    check_output(output, overwrite=None)
    mine = output == OUTPUT and not no
    check_output(output, overwrite=mine or options.may_overwrite([output], yes=yes, no=no))
    with (
        Segmenter(model, streams=min(cpu_count(), 8)) as segmenter,
        tempfile.TemporaryDirectory(prefix="rtseg-demo-") as folder,
    ):
        clip = Path(folder) / "synthetic_drive.mp4"
        truth = render(clip, f"synthetic:{width}x{height}@30?frames={frames}&seed={seed}", quiet)
        code = segment(clip, output, segmenter, truth, quiet)
    if code:
        raise typer.Exit(code)


def render(clip: Path, spec: str, quiet: bool) -> list[bytes]:
    """Write the clip as H.264 and return the labels of its frames as PNG."""
    import cv2
    from rich.console import Console
    from rich.progress import track

    from rtseg.segmentation import Result
    from rtseg.video.generated import SyntheticSource
    from rtseg.video.sinks import VideoSink
    from rtseg.video.sources import open_source

    labels: list[bytes] = []
    with open_source(spec) as source:
        assert isinstance(source, SyntheticSource)
        with VideoSink(clip, info=source.info, crf=18) as sink:
            pairs = track(
                source.frames_with_labels(), "rendering", total=source.info.frames,
                console=Console(stderr=True, quiet=quiet), transient=True,
            )  # fmt: skip
            for frame, truth in pairs:
                sink.write(Result(frame, _no_answer(truth), frame.image, {}))
                labels.append(cv2.imencode(".png", truth)[1].tobytes())
    return labels


def segment(clip: Path, output: Path, segmenter: Segmenter, truth: list[bytes], quiet: bool) -> int:
    """Run the pipeline from file to file and report; the exit code."""
    from rtseg.cli.report import Report, preparing
    from rtseg.cli.run import stopping_on_signals
    from rtseg.overlay import Overlay
    from rtseg.pipeline import Pipeline, painter
    from rtseg.video.sinks import VideoSink
    from rtseg.video.sources import open_source

    answers = Answers()
    with ExitStack() as stack:
        source = stack.enter_context(open_source(clip))
        with preparing(quiet=quiet) as bars:
            segmenter.engine(
                source.info.width, source.info.height, progress=bars.tell, say=bars.say
            )
        video = stack.enter_context(VideoSink(output, info=source.info, overwrite=True))
        report = stack.enter_context(Report(segmenter, source.info, video, quiet=quiet))
        paint = painter(Overlay(segmenter.model.classes), video.picture_for, report.status)
        pipeline = Pipeline(source, segmenter, [answers, video], painter=paint)
        report.follow(pipeline.meter)
        with stopping_on_signals(pipeline) as signals:
            summary = pipeline.run(on_frame=report.frame)
    report.finish(summary, [*source.notes, *video.notes], [output] if summary.written else ())
    if summary.written and not quiet:
        miou = answers.against(truth, len(segmenter.model.classes)).miou()
        print(f"mIoU {100 * miou:.1f} % on the rendered clip's exact labels")
    return signals[-1] if signals else 0


class Answers(Closing):
    """Keeps every second row and column of the labels, to be compared when the run is over:
    a quarter of the work, the same figure to a tenth of a point."""

    def __init__(self) -> None:
        self.written = 0
        self.notes: list[str] = []
        self._labels: list[NDArray[np.uint8]] = []

    def write(self, result: Result) -> None:
        self._labels.append(result.segmentation.labels[::2, ::2].copy())
        self.written += 1

    def against(self, truth: list[bytes], classes: int) -> ConfusionMatrix:
        """Compare with the true labels, a PNG of class ids for each frame."""
        import cv2
        import numpy as np

        from rtseg.metrics import ConfusionMatrix

        matrix = ConfusionMatrix(classes)
        for coded, labels in zip(truth, self._labels, strict=False):  # fewer if it was stopped
            exact: Any = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_GRAYSCALE)
            matrix.add(exact[::2, ::2], labels)
        return matrix


def _no_answer(labels: NDArray[np.uint8]) -> Any:
    from rtseg.classes import CAMVID
    from rtseg.segmentation import Segmentation

    return Segmentation(labels, CAMVID)
