"""Tests and benchmarks on an NVIDIA GPU, in one JSON: `scripts/gpu-check [OUT.json]`.

    scripts/gpu-check                                  to results/<gpu>-<date>.json
    scripts/gpu-check --only kernels,stream --add      again, in the file that is there

Exit code 1 if a test or a measurement failed, 2 without a GPU or with options that make no sense.
What a machine lacks packages for is left out, by name. The file is written after every part.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))
os.environ.pop("NUMBA_ENABLE_CUDASIM", None)  # the simulator is no GPU

import gpu_document as documents  # noqa: E402
from gpu_check import Check  # noqa: E402
from gpu_options import options  # noqa: E402

from rtseg.backends import available  # noqa: E402
from rtseg.errors import EngineError, InputError  # noqa: E402


def begin(asked: argparse.Namespace) -> tuple[documents.Document, Path]:
    """The document to fill, and the file it goes to.

    Raises InputError for a file that cannot be written, or not added to.
    """
    import gpu_machine

    machine, revision = gpu_machine.machine(), gpu_machine.revision()
    name = f"{gpu_machine.slug(machine['gpu'])}-{datetime.now(UTC).date().isoformat()}.json"
    out = asked.out or FOLDER / "results" / name
    if out.is_dir() or not out.parent.is_dir():
        raise InputError(f"{out} cannot be written; expected a file in a folder that exists")
    document = documents.new(machine, gpu_machine.versions(), revision)
    return (resumed(out, document) if asked.add and out.exists() else document), out


def resumed(out: Path, fresh: documents.Document) -> documents.Document:
    """The document of a file. Raises InputError if it is of another GPU or revision."""
    try:
        earlier: documents.Document = json.loads(out.read_text())
        same = (
            all(earlier[key] == fresh[key] for key in ("schema", "revision"))
            and earlier["machine"]["gpu"] == fresh["machine"]["gpu"]
        )
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(f"{out} holds no earlier check: {exc}") from exc
    if not same:
        raise InputError(f"{out} is of another GPU or revision; give another name, or drop --add")
    return earlier


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    asked = options(arguments)
    why = available.gpu_missing()
    if why:
        print(f"gpu-check needs an NVIDIA GPU: {why}", file=sys.stderr)
        return 2
    try:
        document, out = begin(asked)
    except (EngineError, InputError) as exc:
        print(f"gpu-check: {exc}", file=sys.stderr)
        return 2
    Check(asked, document, out).run()
    print("", *documents.lines(document), f"\nwrote {out}", sep="\n")
    return documents.exit_code(document, asked.only)


if __name__ == "__main__":
    sys.exit(main())
