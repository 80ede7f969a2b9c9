"""Runs the rounds of a benchmark along the way of `rtseg run`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtseg.cli import placing
from rtseg.cli.run import Job, prepare, sinks_of
from rtseg.errors import InputError

if TYPE_CHECKING:
    from rtseg.benchmark.document import Start
    from rtseg.benchmark.rounds import Round
    from rtseg.benchmark.scenarios import Course
    from rtseg.model import Model
    from rtseg.overlay import Overlay
    from rtseg.segmenter import Segmenter
    from rtseg.training.datasets import Split
    from rtseg.video.base import SourceInfo


def measure(
    job: Job, chosen: tuple[str, ...], settings: Mapping[str, Any], data: tuple[Path | None, str]
) -> dict[str, Any]:
    """The document of a benchmark: everything is compiled, warmed up and run.

    job: what `rtseg run` would do; its output is left out. chosen: scenarios, in order. data: a
    data set for the accuracy, or None, and its split. Raises RtsegError.
    """
    from rtseg.benchmark import document as documents
    from rtseg.benchmark import nvidia
    from rtseg.benchmark.network import network

    with ExitStack() as stack:
        made, overlay = _segmenters(job, chosen, stack)
        labelled = _labelled(made[chosen[0]].model, *data)
        shown = overlay if settings["overlay"] else None
        main = made[chosen[-1]]
        before = nvidia.states()
        info, start = _start(job, main, shown, settings["warm_up"])
        run = _scenarios(info, settings["rate"])
        if made[chosen[0]] is not main:
            _compile(made[chosen[0]], info)
            with _course(_shorter(job, settings["warm_up"]), made[chosen[0]], shown) as course:
                run[chosen[0]](course)
        rounds: dict[str, list[Round]] = {name: [] for name in chosen}
        for _ in range(settings["rounds"]):
            for name in chosen:  # in turns, so that a disturbance meets all of them
                paints = shown if name != "constant-stream" else None
                with _course(job, made[name], paints) as course:
                    rounds[name].append(run[name](course))
        gpus = before, nvidia.states()
        found = {name: (made[name].streams, rounds[name]) for name in chosen}
        document = documents.document(main, info, settings, start, found, gpus)
        document["network"] = network(main, documents.inference_ms(document))
        document["accuracy"] = None if labelled is None else _accuracy(main, labelled)
        return document


def _segmenters(
    job: Job, chosen: tuple[str, ...], stack: ExitStack
) -> tuple[dict[str, Segmenter], Overlay]:
    """That of each scenario: one frame at a time gets all cores."""
    segmenter, overlay = prepare(job)
    stack.enter_context(segmenter)
    made = dict.fromkeys(chosen, segmenter)
    if "single-stream" in made and segmenter.streams != 1:
        made["single-stream"], _ = prepare(replace(job, streams=1))
        stack.enter_context(made["single-stream"])
    return made, overlay


def _shorter(job: Job, frames: int) -> Job:
    return replace(job, reading={"max_frames": frames})


def _scenarios(info: SourceInfo, rate: float | None) -> dict[str, Callable[[Course], Round]]:
    from rtseg.benchmark import scenarios

    arrivals = Fraction(rate).limit_denominator(1001) if rate else info.rate or Fraction(25)
    return {
        "single-stream": scenarios.single_stream,
        "offline": scenarios.offline,
        "constant-stream": lambda course: scenarios.constant_stream(course, arrivals),
    }


def _start(
    job: Job, segmenter: Segmenter, overlay: Overlay | None, frames: int
) -> tuple[SourceInfo, Start]:
    """Compile the engine, take the first frame, and warm up."""
    from rtseg.benchmark.document import Start
    from rtseg.benchmark.scenarios import offline
    from rtseg.video.sources import open_source

    times = [time.perf_counter()]
    with open_source(job.source, max_frames=1) as source:
        info = source.info
        _compile(segmenter, info)
        times.append(time.perf_counter())
        worker, frame = segmenter.worker(info.width, info.height), next(source, None)
        if frame is None:
            raise InputError(f"{info.name} gave no frame; expected at least one")
        times.append(time.perf_counter())
        worker.segment(frame)
        times.append(time.perf_counter())
    with _course(_shorter(job, frames), segmenter, overlay) as course:
        warm = offline(course)
    return info, Start(times[1] - times[0], 1e3 * (times[3] - times[2]), warm.seconds)


def _compile(segmenter: Segmenter, info: SourceInfo) -> None:
    """Before a source is opened for it: where frames can stay depends on the engine."""
    from rtseg.cli.report import preparing

    with preparing() as bars:
        segmenter.engine(info.width, info.height, progress=bars.tell, say=bars.say)


@contextmanager
def _course(job: Job, segmenter: Segmenter, overlay: Overlay | None) -> Iterator[Course]:
    """Source and sinks of one round, opened; a video goes into a folder that is removed again."""
    from rtseg.benchmark.scenarios import Course
    from rtseg.cli.report import describe_engine, status_line
    from rtseg.pipeline import painter
    from rtseg.video.sinks import NullSink
    from rtseg.video.sources import open_source

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rtseg-bench-")))
        source = stack.enter_context(open_source(job.source, **job.reading))
        job = replace(job, output=folder / "bench.mp4" if overlay else None)
        sinks, shown = sinks_of(job, source)
        source = stack.enter_context(placing.placed(job, source, segmenter, shown))
        sinks = sinks or [NullSink()]
        for sink in sinks:
            stack.enter_context(sink)
        paint = None
        if overlay and shown:
            engine, rate = describe_engine(segmenter, source.info), float(source.info.rate or 0)
            paint = painter(overlay, shown.picture_for, lambda f: status_line(engine, rate, f))
        yield Course(source, segmenter, sinks, paint)


def _labelled(model: Model, data: Path | None, split: str) -> Split | None:
    """The images for the accuracy. Raises InputError, RecipeError before anything is measured."""
    if data is None:
        return None
    from rtseg.training.datasets import open_split

    samples = open_split(data, split)
    if samples.classes.names != model.classes.names:
        raise InputError(
            f"{data} has the classes of {samples.classes.name}, the model those of "
            f"{model.classes.name}; rtseg eval maps one to the other"
        )
    return samples


def _accuracy(segmenter: Segmenter, samples: Split) -> dict[str, Any]:
    """mIoU of the engine that was timed, at the labels' own resolution."""
    from rtseg.cli.evaluate_models import Deployed
    from rtseg.evaluation import evaluate

    deployed = Deployed(segmenter)
    found = evaluate(deployed, samples, samples.classes)
    return {
        "data": samples.title,
        "split": samples.split,
        "images": len(samples),
        "trained_on_split": deployed.subject().saw(samples.title, samples.split),
        "miou": round(float(found.matrix.miou()), 5),
        "pixel_accuracy": round(float(found.matrix.pixel_accuracy()), 5),
    }
