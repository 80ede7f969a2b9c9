"""From the command to the first frame: importing, compiling, decoding, writing.

    pytest benchmarks/bench_startup.py        each once, with pytest-benchmark
    python benchmarks/bench_startup.py        medians to results/startup.json

Whole processes, with kernels that were compiled before: `import rtseg`, `rtseg --version`, and
`rtseg run` of a single 720p frame from start to exit.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import results

from rtseg.interleave import interleaved

TINY = os.environ.get("RTSEG_BENCH_TINY") == "1"
SIZE = "160x96" if TINY else "1280x720"
COMMANDS = {
    "python": ["-c", "pass"],
    "import rtseg": ["-c", "import rtseg"],
    "rtseg --version": ["-m", "rtseg", "--version"],
    "rtseg run, one frame": [
        "-m", "rtseg", "run", f"synthetic:{SIZE}@30", "--max-frames", "1", "-y", "-q",
    ],
}  # fmt: skip


def process(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )


@pytest.mark.parametrize("name", COMMANDS)
def test_startup(benchmark: Any, name: str) -> None:
    benchmark.pedantic(process, (COMMANDS[name],), rounds=1)


def main() -> None:
    calls: dict[str, Callable[[], object]] = {
        name: partial(process, arguments) for name, arguments in COMMANDS.items()
    }
    times = interleaved(calls, 1 if TINY else 7, warmup=1)
    medians = {name: round(statistics.median(values)) for name, values in times.items()}
    print("median ms of whole processes")
    for name, value in medians.items():
        print(f"  {name:24s} {value:6d}")
    if not TINY:
        results.write("startup", {"median_ms": medians})


if __name__ == "__main__":
    main()
