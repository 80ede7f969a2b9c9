"""Parts of a split, by a small grammar that all data sets share.

    train                     all of it
    val::5                    every fifth image
    train:0016E5+0001TP       the sequences of these names
    train:0016E5::2           every second image of one

A sequence is what an image's name begins with, up to a "/", "_" or "-".
"""

from __future__ import annotations

import re
from dataclasses import replace

from rtseg.errors import RecipeError
from rtseg.training.datasets.samples import Pair, Split

FORM = re.compile(r"(?P<split>[^:]+)(?::(?P<sequences>[^:]+))?(?:::(?P<step>\d+))?")
SHOWN = 10
"""Sequences that an error names."""


def parse(text: str) -> tuple[str, tuple[str, ...], int]:
    """ "train:a+b::2" → ("train", ("a", "b"), 2). Raises RecipeError for another form."""
    match = FORM.fullmatch(text.strip())
    if match is None or match["step"] == "0":
        raise RecipeError(
            f"split {text!r}; expected a name, such as train, val::5 (every fifth image) or "
            "train:0016E5+0001TP (two sequences)"
        )
    sequences = tuple(match["sequences"].split("+")) if match["sequences"] else ()
    return match["split"], sequences, int(match["step"] or 1)


def select(split: Split, sequences: tuple[str, ...], step: int, asked: str) -> Split:
    """Those samples of a split. Raises RecipeError for a sequence that it does not have."""
    for name in sequences:
        if not any(_is_of(pair, name) for pair in split.pairs):
            known = sorted({re.split(r"[/_-]", pair.name)[0] for pair in split.pairs})
            more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
            raise RecipeError(
                f"split {asked!r}: no sequence {name!r}; there are {', '.join(known[:SHOWN])}{more}"
            )
    wanted = [p for p in split.pairs if not sequences or any(_is_of(p, s) for s in sequences)]
    return replace(split, split=asked, pairs=tuple(wanted[::step]))


def _is_of(pair: Pair, sequence: str) -> bool:
    rest = pair.name.removeprefix(sequence)
    return rest != pair.name and (rest == "" or rest[0] in "/_-")
