"""Which versions of torch-TensorRT, torch and TensorRT were built for each other.

A torch-TensorRT loaded with another torch or TensorRT fails at best with a missing symbol.
Source: the requirements that the wheels on PyPI state.
"""

from __future__ import annotations

from typing import NamedTuple


class Pair(NamedTuple):
    """torch_tensorrt: the release to install; torch, tensorrt: major.minor that it needs."""

    torch_tensorrt: str
    torch: str
    tensorrt: str


PAIRS = (
    Pair("2.11.0", "2.11", "10.15"),
    Pair("2.12.1", "2.12", "10.16"),
    Pair("2.13.0", "2.13", "11.0"),
    Pair("2.14.0", "2.14", "11.1"),
)
"""All that are used, the oldest first."""


def mismatch(torch_tensorrt: str, torch: str | None, tensorrt: str | None) -> str | None:
    """Why these installed versions do not run together, with what to install; None if they do.

    None for a version: not installed.
    """
    pair = _of(torch_tensorrt, "torch_tensorrt")
    if pair is None:
        return f"torch-tensorrt {torch_tensorrt} is not known here; {_advice(torch)}"
    needed = (("torch", torch, pair.torch), ("tensorrt", tensorrt, pair.tensorrt))
    wrong = [
        f"{name} {found}" if found else f"no {name}"
        for name, found, wanted in needed
        if minor(found or "") != wanted
    ]
    if not wrong:
        return None
    return (
        f"torch-tensorrt {torch_tensorrt} needs torch {pair.torch} and tensorrt {pair.tensorrt}, "
        f"here: {' and '.join(wrong)}; {_advice(torch)}"
    )


def _advice(torch: str | None) -> str:
    """What to install; the release that fits the torch that is there, if one does."""
    pair = _of(torch or "", "torch") or PAIRS[-1]
    return f'pip install "torch-tensorrt=={pair.torch_tensorrt}" brings both'


def _of(version: str, name: str) -> Pair | None:
    """The pair with that major.minor of one of its parts."""
    found = [pair for pair in PAIRS if minor(getattr(pair, name)) == minor(version)]
    return found[0] if found else None


def minor(version: str) -> str:
    """ "2.13.0+cu130" → "2.13"."""
    return ".".join(version.split("+")[0].split(".")[:2])
