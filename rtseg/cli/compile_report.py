"""What `rtseg compile` shows: a plan, the table of all plans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from rtseg.backends.plan_key import TITLES, model_sha256

if TYPE_CHECKING:
    from rtseg.backends.plans import Entry, PlanKey


def describe(entry: Entry, done: str) -> str:
    """A plan in a few lines, with markup: what it is, how it came about, what proves it, where."""
    key = entry.key
    made = f"{_engine(key)} {key.precision} on {escape(key.device)}" if key else ""
    title = f"[bold]{_model(key)} {_size(key)}[/]  {made}" if key else ""
    lines = [title, escape(done), *proofs(entry), f"{escape(str(entry.path))}, {_mb(entry)} MB"]
    return "\n".join(lines)


def proofs(entry: Entry) -> list[str]:
    """What was measured of a plan, a sentence each."""
    facts = entry.facts
    said = []
    if "agreement" in facts:
        frames = f" of {facts['frames']} frames" if "frames" in facts else ""
        percent = f"{100 * facts['agreement']:.2f} %"
        said.append(f"labels agree with OpenVINO f32 on {percent} of the pixels{frames}")
    if "f16_convolutions" in facts:
        said.append(f"{facts['f16_convolutions']} convolutions, all FP16 (engine inspector)")
    elif facts.get("f16_proved") is False:
        said.append("not proved to be FP16: the engine does not tell its types")
    if "build_seconds" in facts:
        said.append(f"built in {facts['build_seconds']:.0f} s")
    return said


def listed(entries: Sequence[Entry], folder: Path) -> Iterator[Table | str]:
    """The table of all plans, then what is wrong with some and where they lie."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("model", style="bold")
    for name in ("input", "engine", "device", "built"):
        table.add_column(name, no_wrap=name != "device")
    for name in ("MB", "agreement"):
        table.add_column(name, justify="right")
    table.add_column("")
    for entry in entries:
        table.add_row(*_row(entry))
    yield table
    yield ""
    for entry in entries:
        if not entry.usable:
            yield f"[red]{entry.path.stem[:12]}…[/] cannot be loaded: {escape(entry.problem)}"
        elif entry.source:
            yield f"{entry.path.stem[:12]}… was taken over from {escape(entry.source)}"
    plans = "plan" if len(entries) == 1 else "plans"
    size = sum(entry.size for entry in entries) / 1e6
    yield f"{len(entries)} {plans}, {size:.1f} MB, in {escape(str(folder))}"
    if not all(entry.usable for entry in entries):
        yield "`rtseg compile --clean` removes what cannot be loaded"


def _row(entry: Entry) -> tuple[str, ...]:
    key, date = entry.key, entry.date
    agreement = entry.facts.get("agreement")
    state = "[red]unusable[/]" if not entry.usable else "[yellow]trusted[/]" if entry.source else ""
    return (
        _model(key) if key else f"{entry.path.stem[:12]}…",
        _size(key) if key else "–",
        _engine(key) if key else "–",
        escape(key.device) if key else "–",
        f"{date.astimezone():%Y-%m-%d}" if date else "–",
        _mb(entry),
        f"{100 * agreement:.2f} %" if agreement is not None else "–",
        state or "[green]ok[/]",
    )


def _model(key: PlanKey) -> str:
    """The shipped model's name, or the beginning of another file's hash."""
    return _shipped().get(key.model_sha256, f"{key.model_sha256[:8]}…")


@lru_cache(maxsize=1)
def _shipped() -> dict[str, str]:
    """Hash of a shipped model's file → its name."""
    from rtseg.model import Model, list_models

    return {model_sha256(Model.load(name).data): name for name in list_models()}


def _size(key: PlanKey) -> str:
    return f"{key.size[0]}x{key.size[1]}"


def _engine(key: PlanKey) -> str:
    return escape(f"{TITLES[key.kind]} {key.library.partition(' ')[0]}")


def _mb(entry: Entry) -> str:
    return f"{entry.size / 1e6:.1f}"
