"""All networks of the registry as deployed files, one image at a time, OpenVINO, random weights.

    pytest benchmarks/bench_networks.py        each network by itself, with pytest-benchmark
    python benchmarks/bench_networks.py        in turns: median, ratio; to results/networks.json

The same as `rtseg networks --bench`: the network alone, all cores, at 480x360 or the nearest size
it takes. RTSEG_BENCH_TINY=1: two networks and a small input, a test that they still run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

sys.path.insert(0, str(Path(__file__).parent))
import results

from rtseg.backends.openvino import best_precision
from rtseg.networks import NETWORKS, entry
from rtseg.training.survey import facts, latencies, prepared

TINY = os.environ.get("RTSEG_BENCH_TINY") == "1"
SIZE = (96, 64) if TINY else (480, 360)
CLASSES = 11
ROWS = [entry("dilanet-m"), entry("fastscnn")] if TINY else list(NETWORKS)


@cache
def candidate(name: str) -> Callable[[], object]:
    return next(prepared([entry(name)], SIZE, best_precision()))[1]


@pytest.mark.parametrize("name", [row.name for row in ROWS if not row.undeployable])
def test_network(benchmark: Any, name: str) -> None:
    benchmark(candidate(name))


def main() -> None:
    precision = best_precision()
    calls = dict(prepared(ROWS, SIZE, precision))
    times = latencies(calls, 3 if TINY else 25)
    reference = times["dilanet-m"]["median_ms"]
    rows = []
    for row in ROWS:
        found = asdict(facts(row, SIZE, CLASSES)) | times.get(row.name, {})
        if row.name in times:
            found["ratio"] = round(found["median_ms"] / reference, 2)
            print(f"{row.name:14s} {found['median_ms']:8.2f} ms {found['ratio']:7.2f}x dilanet-m")
        rows.append(found)
    if not TINY:
        results.write("networks", {"threads": "all cores", "precision": precision, "rows": rows})


if __name__ == "__main__":
    main()
