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


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Video to write.")] = Path(
        "rtseg_demo.mp4"
    ),
    model: options.Model = "dilanet-m",
    frames: Annotated[int, typer.Option(min=1, help="Length of the clip.")] = 180,
    size: Annotated[str, typer.Option(metavar="WxH", help="Size of the clip.")] = "1280x720",
    seed: Annotated[int, typer.Option(help="Which street to drive along.")] = 7,
    quiet: options.Quiet = False,
) -> None:
    """Render a driving clip, segment it, and measure accuracy and speed."""
    from rtseg.video.output import check_output

    check_output(output, source_path=None, overwrite=True)
    width, height = options.parse_size(size) or (1280, 720)
    with tempfile.TemporaryDirectory(prefix="rtseg-demo-") as folder:
        clip = Path(folder) / "synthetic_drive.mp4"
        truth = render(clip, f"synthetic:{width}x{height}@30?frames={frames}&seed={seed}", quiet)
        segment(clip, output, model, truth, quiet)


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


def segment(clip: Path, output: Path, model: str, truth: list[bytes], quiet: bool) -> None:
    """Run the pipeline from file to file and report."""
    from rtseg.cli.report import Report, preparing
    from rtseg.hardware import cpu_count
    from rtseg.overlay import Overlay
    from rtseg.pipeline import Pipeline, painter
    from rtseg.segmenter import Segmenter
    from rtseg.video.sinks import VideoSink
    from rtseg.video.sources import open_source

    with ExitStack() as stack:
        source = stack.enter_context(open_source(clip))
        segmenter = stack.enter_context(Segmenter(model, streams=min(cpu_count(), 8)))
        with preparing(quiet=quiet):
            segmenter.engine(source.info.width, source.info.height)
        report = stack.enter_context(Report("demo", segmenter, source.info, quiet=quiet))
        video = stack.enter_context(VideoSink(output, info=source.info, overwrite=True))
        accuracy = AccuracySink(truth, len(segmenter.model.classes))
        paint = painter(Overlay(segmenter.model.classes), video.picture_for, report.status)
        pipeline = Pipeline(source, segmenter, [accuracy, video], painter=paint)
        report.follow(pipeline.meter)
        summary = pipeline.run(on_frame=report.frame)
        video.close()
    report.finish(summary, [*source.notes, *video.notes], [output])
    if not quiet:
        print(f"mIoU {100 * accuracy.matrix.miou():.1f} % on the rendered clip's exact labels")


class AccuracySink(Closing):
    """Counts predictions against known labels; truth: a PNG of class ids for each frame index."""

    def __init__(self, truth: list[bytes], classes: int) -> None:
        from rtseg.metrics import ConfusionMatrix

        self._truth = truth
        self.matrix: ConfusionMatrix = ConfusionMatrix(classes)
        self.written = 0

    def write(self, result: Result) -> None:
        import cv2
        import numpy as np

        coded = np.frombuffer(self._truth[result.frame.index], np.uint8)
        truth: Any = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
        # Every second row and column: a quarter of the work, the same figure to a tenth.
        self.matrix.add(truth[::2, ::2], result.segmentation.labels[::2, ::2])
        self.written += 1


def _no_answer(labels: NDArray[np.uint8]) -> Any:
    from rtseg.classes import CAMVID
    from rtseg.segmentation import Segmentation

    return Segmentation(labels, CAMVID)
