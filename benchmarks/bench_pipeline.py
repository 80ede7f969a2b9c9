"""File to file: `rtseg run` against what one would otherwise write or install.

    pip install -c constraints.txt -e '.[dev,bench]'   for the peers; those missing are left out
    pytest benchmarks/bench_pipeline.py       each once, with pytest-benchmark
    python benchmarks/bench_pipeline.py       in turns: fps and ratios, to results/pipeline.json

The peers are in pipeline_peers.py. `sequential`: rtseg's own parts, one frame after another in one
thread. The video is 720p: the real clip under RTSEG_DATA repeated, else a rendered one.
RTSEG_BENCH_TINY=1 makes it small: a test that each candidate still runs.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import pipeline_peers
import results
import scenes
from pipeline_peers import ALPHA, Candidate, Size, ours, use_all_cores

from rtseg.hardware import cpu_count
from rtseg.model import list_models
from rtseg.overlay import Overlay
from rtseg.pipeline import Pipeline, painter
from rtseg.segmentation import Result
from rtseg.segmenter import Segmenter
from rtseg.video.sinks import VideoSink
from rtseg.video.sources import open_source

TINY = os.environ.get("RTSEG_BENCH_TINY") == "1"
HERE = Path(__file__).parent
DATA = Path(os.environ.get("RTSEG_DATA", HERE.parent.parent / "shared" / "data"))
REAL = DATA / "video" / "highway_1280x720.mp4"
REPEATS = 5  # of the real clip, 38 frames
ROUNDS = 1 if TINY else 3

Maker = Callable[[], Candidate]


def pipeline(name: str, frame: Size) -> Candidate:
    """What `rtseg run` does, without its progress bar."""
    segmenter = Segmenter(name, streams=cpu_count())
    overlay = Overlay(segmenter.model.classes, alpha=ALPHA)

    def run(clip: Path, out: Path) -> int:
        with open_source(clip) as source, VideoSink(out, info=source.info, overwrite=True) as sink:
            paint = painter(overlay, sink.picture_for, lambda frame: f"{frame.seconds:.1f}")
            return Pipeline(source, segmenter, [sink], painter=paint).run().written

    return ours(segmenter.model, frame, run, "rtseg run")


def sequential(name: str, frame: Size) -> Candidate:
    """The same parts without threads; the engine uses all cores."""
    segmenter = Segmenter(name)
    overlay = Overlay(segmenter.model.classes, alpha=ALPHA)

    def run(clip: Path, out: Path) -> int:
        with open_source(clip) as source, VideoSink(out, info=source.info, overwrite=True) as sink:
            for taken in source:
                answer = segmenter(taken)
                picture = overlay.paint(taken, answer, sink.picture_for(taken))
                sink.write(Result(taken, answer, picture, {}))
            return sink.written

    return ours(segmenter.model, frame, run, "parts of rtseg: one loop")


@cache
def clip() -> Path:
    """The video all candidates read."""
    folder = Path(tempfile.mkdtemp(prefix="rtseg-bench-"))
    if REAL.is_file() and not TINY:
        return repeat(REAL, folder / "real.mp4", REPEATS)
    size, frames = ((160, 96), 6) if TINY else ((1280, 720), 300)
    return scenes.rendered(folder, size, frames)


def repeat(path: Path, out: Path, times: int) -> Path:
    """The packets of a video several times over, decoded and shown one after another."""
    with av.open(str(path)) as first, av.open(str(out), "w") as target:
        stream = target.add_stream_from_template(first.streams.video[0])
        rate = first.streams.video[0].average_rate
        frames = first.streams.video[0].frames
        for turn in range(times):
            shift = turn * frames / rate
            with av.open(str(path)) as source:
                for packet in source.demux(video=0):
                    if packet.dts is None:
                        continue
                    ticks = int(shift / Fraction(packet.time_base))
                    packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                    packet.stream = stream
                    target.mux(packet)
    return out


@cache
def frame_size() -> Size:
    """(width, height) of the clip."""
    with open_source(clip()) as source:
        return source.info.width, source.info.height


def makers() -> dict[str, Maker]:
    """Of every candidate that is installed: what makes it ready to run."""
    pairs = [(name, make) for name in list_models() for make in (pipeline, sequential)]
    pairs = sorted(pairs + pipeline_peers.makers(), key=lambda pair: pair[0])
    return {
        f"{name}, {make.__name__}": lambda name=name, make=make: make(name, frame_size())
        for name, make in pairs
    }


MAKERS = makers()


@pytest.mark.parametrize("name", MAKERS)
def test_pipeline(benchmark: Any, name: str, tmp_path: Path) -> None:
    run = MAKERS[name]().run
    use_all_cores()
    count = benchmark.pedantic(run, (clip(), tmp_path / "out.mp4"), rounds=1)
    assert count > 0


def main() -> None:
    candidates = {name: make() for name, make in MAKERS.items()}
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(ROUNDS + 1):  # the first turn warms up: compiled kernels, page cache
            for name, candidate in candidates.items():
                time.sleep(0.0 if TINY else 0.3)  # threads of the one before stop spinning
                taken = measure(candidate, Path(folder) / "out.mp4")
                if turn or TINY:
                    samples[name].append(taken)
    report({name: row(candidates[name], values) for name, values in samples.items()})


def measure(candidate: Candidate, out: Path) -> tuple[float, float]:
    """Frames per second and CPU seconds per frame of one run."""
    use_all_cores()
    started, cpu = time.perf_counter(), cpu_seconds()
    count = candidate.run(clip(), out)
    return count / (time.perf_counter() - started), (cpu_seconds() - cpu) / count


def row(candidate: Candidate, values: list[tuple[float, float]]) -> dict[str, Any]:
    fps = statistics.median(v[0] for v in values)
    cpu = statistics.median(v[1] for v in values)
    bound = cpu_count() / cpu
    return {
        "what": candidate.what,
        "input": list(candidate.size),
        "gmacs": round(candidate.gmacs, 3),
        "fps": round(fps, 2),
        "cpu_ms_per_frame": round(1e3 * cpu, 2),
        "bound_fps": round(bound, 2),
        "share_of_bound": round(fps / bound, 3),
    }


def report(rows: dict[str, dict[str, Any]]) -> None:
    print(f"{'':34s}    input  GMAC    fps CPU ms  bound  share xnaive")
    for name, values in rows.items():
        base = rows.get(name.split(",")[0] + ", naive")  # of the same model
        values["times_naive"] = round(values["fps"] / base["fps"], 2) if base else None
        columns = ("fps", "cpu_ms_per_frame", "bound_fps", "share_of_bound", "times_naive")
        size = "x".join(map(str, values["input"]))
        cells = ("-" if values[c] is None else f"{values[c]:.2f}" for c in columns)
        print(f"{name:34s}{size:>9s}{values['gmacs']:6.2f}" + "".join(f"{c:>7s}" for c in cells))
    if not TINY:
        source = "real clip, repeated" if REAL.is_file() else "rendered clip"
        results.write("pipeline", {"video": f"1280x720, {source}", "rounds": ROUNDS, "runs": rows})


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
