"""All networks of the registry as deployed files, one image at a time, OpenVINO, random weights.

    pytest benchmarks/bench_networks.py        each network by itself, with pytest-benchmark
    python benchmarks/bench_networks.py        in turns: median, ratio; to results/networks.json

The same as `rtseg networks --bench`: the network alone, all cores, at 480x360 or the nearest size
it takes. RTSEG_BENCH_TINY=1: two networks and a small input, a test that they still run.
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

sys.path.insert(0, str(Path(__file__).parent))
import results

from rtseg.backends import build_engine
from rtseg.backends.openvino import best_precision
from rtseg.networks import NETWORKS, entry
from rtseg.training.survey import Bench, facts, random_model

TINY = os.environ.get("RTSEG_BENCH_TINY") == "1"
SIZE = (96, 64) if TINY else (480, 360)
CLASSES = 11
ROWS = [entry("dilanet-m"), entry("fastscnn")] if TINY else list(NETWORKS)


@pytest.mark.parametrize("name", [row.name for row in ROWS if not row.undeployable])
def test_network(benchmark: Any, name: str) -> None:
    model, size = random_model(name), entry(name).sizes.nearest(*SIZE)
    context = build_engine(model, size).context()
    context.input[:] = 0.5
    benchmark(context.run)


def main() -> None:
    precision = best_precision()
    bench = Bench(SIZE, precision, 3 if TINY else 15)
    rows = []
    print(f"{'network':14s} median ms  to dilanet-m")
    for row in ROWS:
        found = asdict(facts(row, SIZE, CLASSES))
        if not row.undeployable:
            found |= bench.latency(row.name)
            print(f"{row.name:14s} {found['median_ms']:9.2f} {found['ratio']:12.2f}x", flush=True)
        rows.append(found)
    if not TINY:
        results.write("networks", {"threads": "all cores", "precision": precision, "rows": rows})


if __name__ == "__main__":
    main()
