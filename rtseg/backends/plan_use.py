"""From a plan in the cache, or a new one, to an engine: the same for all that keep plans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rtseg.backends.plan_cache import Found, PlanCache
from rtseg.backends.plan_key import PlanKey
from rtseg.backends.private_folder import UnsafeFolderError
from rtseg.errors import EngineError

CACHED = "cached"
"""The reason that is given for a plan that was not built now."""

Built = TypeVar("Built")


class UnfitError(EngineError):
    """A new engine failed a check; building it again would end the same."""


class PlanRefusedError(EngineError):
    """A plan itself cannot be used: it does not load, or is of another network."""


def kept_or_built(
    cache: PlanCache, key: PlanKey, build: Callable[[], bytes], *, rebuild: bool = False
) -> tuple[bytes, str]:
    """(plan, why it was built or `CACHED`): the kept one, or what `build` makes and keeps.

    Only who has to build waits for the builds of others. Raises what `build` raises; UnfitError
    also for what an earlier build did, unless `rebuild`.
    """
    found = _kept(cache, key, rebuild)
    if found.data is not None and not rebuild:
        return found.data, CACHED
    with cache.building(key):
        found = _kept(cache, key, rebuild)  # another process may have built it meanwhile
        if found.data is not None and not rebuild:
            return found.data, CACHED
        why = "asked for" if found.data is not None else found.reason
        width, height = key.size
        cache.tell(f"{key.kind}: building for {width}x{height}, minutes; {why}")
        try:
            return build(), why
        except UnfitError as exc:
            cache.refuse(key, str(exc))
            raise


def _kept(cache: PlanCache, key: PlanKey, rebuild: bool) -> Found:
    found = cache.get(key)
    refusal = cache.refusal(key) if found.data is None and not rebuild else None
    if refusal is not None:
        raise UnfitError(refusal)
    return found


def engine_of_plan(
    compiled: Callable[[bool], tuple[bytes, str]], load: Callable[[bytes, str], Built]
) -> Built:
    """What `load(plan, reason)` makes of `compiled(rebuild)`, which is (plan, reason).

    A kept plan that is refused is built again, once: it can fit its record and still not load, by
    a changed driver for instance. Raises EngineError.
    """
    plan, reason = compiled(False)
    try:
        return load(plan, reason)
    except PlanRefusedError as exc:
        if reason != CACHED:
            raise
        reason = f"the kept one cannot be used: {exc}"
    plan, _ = compiled(True)
    return load(plan, reason)


def told(backend: str, reason: str) -> tuple[str, ...]:
    """The note on a plan that was built now."""
    return () if reason == CACHED else (f"{backend}: built now ({reason})",)


@contextmanager
def needing_a_folder() -> Iterator[None]:
    """A folder for plans that must not be used is this engine's failure: others need none."""
    try:
        yield
    except UnsafeFolderError as exc:
        raise EngineError(str(exc)) from exc
