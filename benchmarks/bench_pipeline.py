"""File to file: `rtseg run` against the loop that one would write first, with the same network.

    pytest benchmarks/bench_pipeline.py       each once, with pytest-benchmark
    python benchmarks/bench_pipeline.py       in turns: fps and ratios, to results/pipeline.json

The naive loop: cv2.VideoCapture → resize, normalise → torch eager → upsample, argmax in numpy →
palette and cv2.addWeighted → cv2.VideoWriter. `sequential`: rtseg's own parts, one frame after
another in one thread. The video is 720p: the real clip under RTSEG_DATA repeated, else a rendered
one. RTSEG_BENCH_TINY=1 makes it small: a test that each candidate still runs.
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
import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import results
import scenes

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
ALPHA = 0.5

Run = Callable[[Path, Path], int]


def pipeline(name: str) -> Run:
    """What `rtseg run` does, without its progress bar."""
    segmenter = Segmenter(name, streams=cpu_count())
    overlay = Overlay(segmenter.model.classes, alpha=ALPHA)

    def run(clip: Path, out: Path) -> int:
        with open_source(clip) as source, VideoSink(out, info=source.info, overwrite=True) as sink:
            paint = painter(overlay, sink.picture_for, lambda frame: f"{frame.seconds:.1f}")
            return Pipeline(source, segmenter, [sink], painter=paint).run().written

    return run


def sequential(name: str) -> Run:
    """The same parts without threads; the engine uses all cores."""
    segmenter = Segmenter(name)
    overlay = Overlay(segmenter.model.classes, alpha=ALPHA)

    def run(clip: Path, out: Path) -> int:
        with open_source(clip) as source, VideoSink(out, info=source.info, overwrite=True) as sink:
            for frame in source:
                answer = segmenter(frame)
                picture = overlay.paint(frame, answer, sink.picture_for(frame))
                sink.write(Result(frame, answer, picture, {}))
            return sink.written

    return run


def naive(name: str) -> Run:
    """OpenCV in and out, torch eager, numpy; the input has the size that rtseg takes."""
    import torch

    from rtseg.training.weights import load_weights

    segmenter = Segmenter(name)
    model = segmenter.model
    network, *_ = load_weights(model.path.with_suffix(".safetensors"))
    palette = model.classes.palette()
    mean, std = (np.array(v, np.float32) for v in (model.contract.mean, model.contract.std))

    def labels(frame: np.ndarray) -> np.ndarray:
        height, width = frame.shape[:2]
        small = cv2.resize(frame, model.input_size(width, height))
        rgb = cv2.cvtColor(small, cv2.COLOR_BGR2RGB).astype(np.float32) / 255
        tensor = torch.from_numpy(((rgb - mean) / std).transpose(2, 0, 1)[None])
        with torch.no_grad():
            logits = network(tensor)
            up = torch.nn.functional.interpolate(logits, (height, width), mode="bilinear")
        return np.argmax(up[0].numpy(), axis=0)

    def run(clip: Path, out: Path) -> int:
        capture, writer, count = cv2.VideoCapture(str(clip)), None, 0
        while True:
            ok, frame = capture.read()
            if not ok:
                break
            drawn = cv2.addWeighted(frame, 1 - ALPHA, palette[labels(frame)], ALPHA, 0)
            if writer is None:
                size = frame.shape[1], frame.shape[0]
                writer = cv2.VideoWriter(str(out), cv2.VideoWriter_fourcc(*"mp4v"), 25, size)
            writer.write(drawn)
            count += 1
        capture.release()
        if writer is not None:
            writer.release()
        return count

    return run


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


def candidates() -> dict[str, Run]:
    makers = (pipeline, sequential, naive)
    return {f"{name}, {make.__name__}": make(name) for name in list_models() for make in makers}


@pytest.mark.parametrize("make", [pipeline, sequential, naive], ids=lambda f: f.__name__)
def test_pipeline(benchmark: Any, make: Callable[[str], Run], tmp_path: Path) -> None:
    run = make(list_models()[0])
    count = benchmark.pedantic(run, (clip(), tmp_path / "out.mp4"), rounds=1)
    assert count > 0


def main() -> None:
    runs = candidates()
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.mp4"
        for turn in range(ROUNDS + 1):  # the first turn warms up: compiled kernels, page cache
            for name, run in runs.items():
                time.sleep(0.0 if TINY else 0.3)  # threads of the one before stop spinning
                started, cpu = time.perf_counter(), cpu_seconds()
                count = run(clip(), out)
                if turn or TINY:
                    fps = count / (time.perf_counter() - started)
                    samples[name].append((fps, (cpu_seconds() - cpu) / count))
    rows = {name: row(values) for name, values in samples.items()}
    report(rows)


def row(values: list[tuple[float, float]]) -> dict[str, float]:
    fps = statistics.median(v[0] for v in values)
    cpu = statistics.median(v[1] for v in values)
    bound = cpu_count() / cpu
    return {
        "fps": round(fps, 2),
        "cpu_ms_per_frame": round(1e3 * cpu, 2),
        "bound_fps": round(bound, 2),
        "share_of_bound": round(fps / bound, 3),
    }


def report(rows: dict[str, dict[str, float]]) -> None:
    print(f"{'':28s}    fps CPU ms  bound  share xnaive")
    for name, values in rows.items():
        base = rows[name.split(",")[0] + ", naive"]["fps"]
        values["times_naive"] = round(values["fps"] / base, 2)
        columns = ("fps", "cpu_ms_per_frame", "bound_fps", "share_of_bound", "times_naive")
        print(f"{name:28s}" + "".join(f"{values[column]:7.2f}" for column in columns))
    if not TINY:
        source = "real clip, repeated" if REAL.is_file() else "rendered clip"
        results.write("pipeline", {"video": f"1280x720, {source}", "rounds": ROUNDS, "runs": rows})


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
