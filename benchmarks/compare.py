"""Two revisions of rtseg against each other, in turns, on this machine.

    python benchmarks/compare.py HEAD~3 HEAD
    python benchmarks/compare.py main . --rounds 5 -- dashcam.mp4 --model dilanet-s --no-overlay

A revision is anything git knows; "." is the working tree with what is not committed. Each is
checked out into a folder of its own and run with the packages that are installed here; what follows
"--" goes to `rtseg bench`. Round by round each has its turn, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rtseg.benchmark.comparison import compare, differences, load
from rtseg.cli.bench_report import show_comparison
from rtseg.errors import EngineError, RtsegError

ROOT = Path(__file__).parent.parent
OWN = ("--rounds", "--json", "--compare", "--sweep", "--fail-below")
"""Options of `rtseg bench` that this script sets itself, or that have no place here."""


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Exits with code 2 for what cannot be done."""
    cut = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(description="Two revisions of rtseg, measured in turns.")
    parser.add_argument("revisions", nargs=2, metavar="REVISION", help='of git, or "."')
    parser.add_argument("--rounds", type=int, default=3, help="turns of each; default 3")
    parser.add_argument("--out", type=Path, help="keep a.json and b.json in this folder")
    found = parser.parse_args(given[:cut])
    found.options = list(given[cut + 1 :])
    taken = [name for name in found.options if name.partition("=")[0] in OWN]
    if taken:
        parser.error(f"{taken[0]} cannot be passed on; this script measures rounds in turns itself")
    if found.rounds < 2:
        parser.error(f"--rounds {found.rounds}; expected 2 or more, or no difference can be shown")
    return found


@contextmanager
def checkout(revision: str, folder: Path) -> Iterator[Path]:
    """The project's root at that revision. Raises CalledProcessError if git does not know it."""
    if revision == ".":
        yield ROOT
        return
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--detach", "--quiet", str(folder), revision], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def python(root: Path, *arguments: str) -> str:
    """What Python prints that imports rtseg from `root`. Raises CalledProcessError."""
    return subprocess.run(
        [sys.executable, "-P", *arguments], check=True, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    ).stdout  # fmt: skip


def check_code(root: Path) -> None:
    """Raises EngineError if it is not the code under `root` that would run."""
    found = python(root, "-c", "import rtseg; print(rtseg.__file__)").strip()
    if not Path(found).is_relative_to(root):
        raise EngineError(f"rtseg is imported from {found}; expected it under {root}")


def measure(root: Path, options: Sequence[str], path: Path) -> dict[str, Any]:
    """One round of `rtseg bench` with the code under `root`. Raises CalledProcessError."""
    python(root, "-m", "rtseg", "bench", *options, "--rounds", "1", "--json", str(path))
    found = load(path)
    path.unlink()  # or the next round would not write over it
    return found


def joined(documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One document with the rounds of all."""
    first = documents[0]
    for name, scenario in first["scenarios"].items():
        scenario["rounds"] = [d["scenarios"][name]["rounds"][0] for d in documents]
    first["settings"]["rounds"] = len(documents)
    return first


def run(asked: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """The documents of both revisions; folder: for what is needed meanwhile."""
    found: list[list[dict[str, Any]]] = [[], []]
    one, two = asked.revisions
    with checkout(one, folder / "one") as a, checkout(two, folder / "two") as b:
        for root in (a, b):
            check_code(root)
        for turn in range(asked.rounds):
            for revision, root, documents in zip(asked.revisions, (a, b), found, strict=True):
                print(f"round {turn + 1} of {asked.rounds}: {revision}", flush=True)
                documents.append(measure(root, asked.options, folder / "round.json"))
    return [joined(documents) for documents in found]


def main(given: Sequence[str]) -> int:
    asked = arguments(given)
    with tempfile.TemporaryDirectory(prefix="rtseg-compare-") as temporary:
        try:
            a, b = run(asked, Path(temporary))
            show_comparison(compare(a, b), differences(a, b))
        except (subprocess.CalledProcessError, RtsegError) as exc:
            print(f"compare: {exc}", file=sys.stderr)
            return 1
    print(f"a is {asked.revisions[0]}, b is {asked.revisions[1]}")
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
        for name, document in (("a", a), ("b", b)):
            (asked.out / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
