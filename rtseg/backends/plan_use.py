"""From a plan in the cache, or a new one, to an engine: the same for all that keep plans."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rtseg.errors import EngineError

CACHED = "cached"
"""The reason that is given for a plan that was not built now."""

Built = TypeVar("Built")


def engine_of_plan(
    compiled: Callable[[bool], tuple[bytes, str]], load: Callable[[bytes, str], Built]
) -> Built:
    """What `load(plan, reason)` makes of `compiled(rebuild)`, which is (plan, reason).

    A kept plan that does not load is built again, once: it can fit its record and still be refused,
    by a changed driver for instance. Raises EngineError.
    """
    plan, reason = compiled(False)
    try:
        return load(plan, reason)
    except EngineError as exc:
        if reason != CACHED:
            raise
        reason = f"the kept one cannot be used: {exc}"
    plan, _ = compiled(True)
    return load(plan, reason)


def told(backend: str, reason: str) -> tuple[str, ...]:
    """The note on a plan that was built now."""
    return () if reason == CACHED else (f"{backend}: built now ({reason})",)
