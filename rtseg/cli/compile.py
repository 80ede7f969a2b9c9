"""`rtseg compile`: engines for this machine's GPU, and the cache they are kept in."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from rtseg.errors import EngineError, InputError, SinkError

if TYPE_CHECKING:
    from rtseg.backends.compiling import Job
    from rtseg.backends.plans import PlanCache
    from rtseg.backends.trt_progress import Progress


def compile_command(
    recipe: Annotated[
        Path | None,
        typer.Argument(metavar="RECIPE.toml", help="What to build, such as a file of engines/."),
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build it although it is in the cache.")
    ] = False,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="PLAN", help="Take over a plan that was built elsewhere; see --trust."
        ),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="The plan of --from may run its native code here.")
    ] = False,
    listing: Annotated[bool, typer.Option("--list", help="Show what is in the cache.")] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove from the cache what cannot be loaded.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="With --clean: remove all.")] = False,
) -> None:
    """Build an engine for this machine's GPU, prove it, and keep it for `rtseg run`."""
    if (recipe is not None) + listing + clean != 1:
        raise InputError("expected one of: a recipe (a TOML file), --list, --clean")
    if everything and not clean:
        raise InputError("--all goes with --clean: it removes every plan")
    if recipe is not None:
        _check_usage(plan, rebuild=rebuild, trust=trust)
        _compile(_job(recipe), plan, rebuild=rebuild, trust=trust)
        print(f"use it: rtseg run VIDEO --engine {quote(str(recipe))}")
    elif rebuild or trust or plan is not None:
        raise InputError("--rebuild, --from and --trust go with a recipe")
    elif listing:
        _list()
    else:
        _clean(everything=everything)


def _check_usage(plan: Path | None, *, rebuild: bool, trust: bool) -> None:
    """Raise InputError for options that have no meaning together."""
    if trust and plan is None:
        raise InputError("--trust is said of the plan of --from, and there is none")
    if rebuild and plan is not None:
        raise InputError("--rebuild builds here, --from takes a plan over; give one of them")


def _job(recipe: Path) -> Job:
    """What a recipe asks for, if it can be built here. Raises InputError, EngineError."""
    from rtseg.backends import available
    from rtseg.backends.compiling import Job
    from rtseg.backends.engine_recipe import load_engine_recipe
    from rtseg.model import Model

    wanted = load_engine_recipe(recipe)
    model = Model.load(wanted.model)
    job = Job(wanted.backend, model, model.check_size(wanted.size), wanted.options)
    missing = available.missing(job.kind)
    if missing:
        raise EngineError(
            f"{job.kind} cannot run here, and engines are built on the machine that runs them: "
            f"{missing}"
        )
    return job


def _compile(job: Job, plan: Path | None, *, rebuild: bool, trust: bool) -> None:
    from rich.console import Console

    from rtseg.backends.compiling import adopt, key_of
    from rtseg.backends.plans import PlanCache
    from rtseg.cli.building import BuildBars
    from rtseg.cli.compile_report import describe

    with BuildBars() as bars:
        cache = PlanCache(say=bars.say)
        if plan is not None:
            adopt(job, plan, cache, trust=trust)
            done = f"taken over from {plan}, on your word"
        else:
            done = _build(job, cache, bars.tell, rebuild=rebuild)
    entry = cache.entry(key_of(job))
    if entry is None:
        raise SinkError("the engine was built and is good, but cannot be kept; see the note above")
    Console(highlight=False).print(describe(entry, done), soft_wrap=True)


def _build(job: Job, cache: PlanCache, progress: Progress, *, rebuild: bool) -> str:
    """Build it if need be; a sentence on that."""
    from rtseg.backends.compiling import compile_job
    from rtseg.backends.plan_use import CACHED

    why = compile_job(job, cache, progress=progress, rebuild=rebuild)
    return "in the cache already" if why == CACHED else f"compiled now: {why}"


def _list() -> None:
    from rich.console import Console

    from rtseg.backends.plans import PlanCache
    from rtseg.cli.compile_report import listed

    cache = PlanCache()
    entries = cache.entries()
    if not entries:
        print(f"no plans in {cache.folder}; `rtseg compile RECIPE.toml` builds one")
        return
    console = Console(highlight=False)
    for part in listed(entries, cache.folder):
        console.print(part, soft_wrap=isinstance(part, str))


def _clean(*, everything: bool) -> None:
    from rtseg.backends.plans import PlanCache

    cache = PlanCache()
    problems = {entry.path: entry.problem for entry in cache.entries() if not entry.usable}
    removed = cache.clean(everything=everything)
    for path in removed:
        why = problems.get(path.with_suffix(".plan"), "")
        print(f"removed {path}" + (f": {why}" if why else ""))
    files = {0: "nothing", 1: "1 file"}.get(len(removed), f"{len(removed)} files")
    print(f"{files} removed from {cache.folder}; {len(cache.entries())} usable plans left")
