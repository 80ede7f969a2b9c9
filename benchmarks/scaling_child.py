"""A process of `scaling_runs.Child`: a line of JSON for each line of JSON that asks for a run.

python benchmarks/scaling_child.py VIDEO PRECISION
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import scaling_runs as runs

from rtseg.hardware import cpu_count
from rtseg.segmenter import Segmenter

CLIP, PRECISION = Path(sys.argv[1]), sys.argv[2]


@cache
def segmenter(streams: int) -> Segmenter:
    return runs.segmenter(streams, PRECISION)


def answer(way: str, frames: int) -> dict[str, Any]:
    if way == "single":
        return runs.single(segmenter(1), CLIP, frames=frames)
    return runs.offline(segmenter(cpu_count()), CLIP, frames=frames)._asdict()


def main() -> None:
    answer("offline", 2)  # everything is compiled
    print("{}", flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
