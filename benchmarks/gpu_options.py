"""The command line of `scripts/gpu-check`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

from gpu_document import PARTS


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line. Ends the program for one that makes no sense."""
    parser = argparse.ArgumentParser(
        prog="gpu-check", description="Tests and benchmarks on an NVIDIA GPU, in one JSON."
    )
    parser.add_argument("out", nargs="?", type=Path, metavar="OUT.json", help="what to write")
    parser.add_argument(
        "--only", type=_names(PARTS), default=list(PARTS), metavar="A,B",
        help=f"parts to run, of {', '.join(PARTS)}; default all",
    )  # fmt: skip
    parser.add_argument(
        "--add",
        action="store_true",
        help="keep what a file that is there has, but for what is measured again",
    )
    parser.add_argument(
        "--models", type=_split, help="networks for engines; default the light ones"
    )
    parser.add_argument("--sizes", type=_sizes, help="their inputs, such as 480x360,1024x512")
    parser.add_argument(
        "--compile", choices=("none", "shipped", "all"), default="shipped",
        help="networks for torch.compile, which takes minutes for each size; default shipped",
    )  # fmt: skip
    parser.add_argument("--rounds", type=_count, default=25, help="bursts of each candidate")
    parser.add_argument("--frames", type=_count, default=20000, help="of the long run")
    parser.add_argument("--clip", type=_file, help="video for NVDEC; default a rendered one")
    return parser.parse_args(arguments)


def _split(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _names(known: Iterable[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        unknown = set(_split(text)) - set(known)
        if unknown or not _split(text):
            expected = ", ".join(known)
            raise argparse.ArgumentTypeError(f"{text!r} names no part; expected some of {expected}")
        return _split(text)

    return names


def _sizes(text: str) -> tuple[tuple[int, int], ...]:
    try:
        pairs = [tuple(map(int, size.split("x"))) for size in _split(text)]
        return tuple((width, height) for width, height in pairs)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r}; expected such as 480x360,1024x512") from exc


def _file(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"no file {text!r}")
    return Path(text)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; expected a number above 0")
    return int(text)
