"""All rounds of a benchmark as one JSON document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from rtseg.benchmark import machine
from rtseg.benchmark.comparison import SCHEMA
from rtseg.benchmark.rounds import Round
from rtseg.segmenter import Segmenter
from rtseg.video.base import SourceInfo


@dataclass(frozen=True, slots=True)
class Start:
    """What comes before the measured frames: seconds until the engine and all kernels were ready,
    of the first frame's labels in milliseconds, and of the warm-up."""

    engine_s: float
    first_frame_ms: float
    warm_up_s: float

    def document(self) -> dict[str, float]:
        return {
            "engine_s": round(self.engine_s, 3),
            "first_frame_ms": round(self.first_frame_ms, 3),
            "warm_up_s": round(self.warm_up_s, 3),
        }


def document(
    segmenter: Segmenter,
    info: SourceInfo,
    settings: Mapping[str, Any],
    start: Start,
    rounds: Mapping[str, tuple[int, Sequence[Round]]],
    gpus: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> dict[str, Any]:
    """rounds: by scenario, with how many frames are segmented at a time. gpus: their states before
    and after. The peak of the memory is the one until now."""
    return {
        "schema": SCHEMA,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.machine(),
        "versions": machine.versions(),
        "engine": _engine(segmenter, info),
        "source": {
            "name": info.name,
            "width": info.width,
            "height": info.height,
            "rate": None if info.rate is None else round(float(info.rate), 4),
        },
        "settings": dict(settings),
        "start": start.document(),
        "scenarios": {
            name: {"streams": streams, "rounds": [r.document() for r in found]}
            for name, (streams, found) in rounds.items()
        },
        "memory": {
            "peak_host_bytes": machine.peak_bytes(),
            "device_bytes": segmenter.memory.device_peak,
            "pinned_bytes": segmenter.memory.host_peak,
        },
        "gpus": {"before": gpus[0], "after": gpus[1]},
    }


def _engine(segmenter: Segmenter, info: SourceInfo) -> dict[str, Any]:
    engine, contract = segmenter.engine(info.width, info.height), segmenter.model.contract
    return {
        "model": contract.name,
        "sha256": contract.sha256,
        "parameters": contract.parameters,
        "gmacs": contract.gmacs,
        "input": list(segmenter.size or ()),
        "backend": engine.name,
        "precision": engine.precision,
        "notes": list(engine.notes),
    }


def medians(found: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each scenario of a document with the round whose rate is the median (the lower of two)."""
    for name, scenario in found["scenarios"].items():
        rounds = sorted(scenario["rounds"], key=lambda r: float(r["fps"]))
        yield name, rounds[(len(rounds) - 1) // 2]


def inference_ms(found: Mapping[str, Any]) -> float | None:
    """What an inference takes with the device to itself, the median of single-stream; None where
    that was not run."""
    if "single-stream" not in found["scenarios"]:
        return None
    return float(dict(medians(found))["single-stream"]["stages_ms"]["inference"]["median"])


def rate(found: Mapping[str, Any], scenario: str) -> float:
    """Frames per second of a scenario, the median of its rounds."""
    return median(float(r["fps"]) for r in found["scenarios"][scenario]["rounds"])
