"""Plans that were built once are kept: a folder of plans, each with a record beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeAlias

from rtseg.backends.build_lock import hold
from rtseg.backends.plan_cleaning import clean
from rtseg.backends.plan_key import PlanKey, differences
from rtseg.backends.plan_names import (
    LAYERS,
    LOCK,
    PLAN,
    RECORD,
    REFUSED,
    TIMING,
    ending,
    own_files,
)
from rtseg.backends.plan_record import (
    Entry,
    NoPlan,
    Record,
    Unusable,
    read_entry,
    read_plan,
    read_record,
)
from rtseg.backends.private_folder import is_private, make_private, plan_folder, write_durably
from rtseg.errors import InputError, OutputError

Check: TypeAlias = Callable[[bytes], Mapping[str, object]]


class Found(NamedTuple):
    """A kept plan's bytes, or None; where it comes from, or why none can be used."""

    data: bytes | None
    reason: str


class PlanCache:
    """The plans in a folder, by default the user's (see `private_folder.plan_folder`).

    say: is told what the user should know: that a plan could not be kept, that another process is
    waited for. notes: all that was said, but for what `tell` was given.

    Nothing is touched before the first call. `get`, `put` and all other methods that look into the
    folder raise InputError if another user could have written to it.
    """

    def __init__(
        self, folder: Path | None = None, *, say: Callable[[str], None] | None = None
    ) -> None:
        self.folder = (folder or plan_folder()).absolute()
        self.notes: list[str] = []
        self._say = say

    def get(self, key: PlanKey) -> Found:
        """The plan of that key. Its record and its hash are checked."""
        if not is_private(self.folder):
            return Found(None, "no plan yet")
        try:
            record, data = read_plan(self.path(key))
        except NoPlan:
            return Found(None, self._why_none(key))
        except Unusable as exc:
            return Found(None, str(exc))
        date = f"{record.built.astimezone():%Y-%m-%d %H:%M}"
        return Found(data, f"taken over from {record.source}" if record.source else f"built {date}")

    def put(self, key: PlanKey, data: bytes, facts: Mapping[str, object]) -> Path | None:
        """Keep a plan that was built here; the path it has now.

        None if it cannot be kept (folder read-only, disk full …): `notes` then says why, and the
        plan is as good as before.
        """
        return self._keep(key, data, Record.of(key, data, facts, None))

    def import_plan(
        self, path: Path, key: PlanKey, *, trust: bool, check: Check | None = None
    ) -> Path:
        """Take a plan over that was built elsewhere, under that key; the path it has now.

        check: is given the plan's bytes, raises if they are no good, and gives facts for the
        record. Raises InputError without `trust`, and if the plan cannot be read or kept.
        """
        if not trust:
            raise InputError(
                f"{path} was not built here. Loading a plan runs native code from it, so NVIDIA "
                "says to load trusted ones only; pass --trust if you know who built it and how it "
                "came here, or leave it out to build one"
            )
        data = _foreign(path)
        facts = check(data) if check is not None else {}
        with self.building(key):
            kept = self._keep(key, data, Record.of(key, data, facts, str(path.absolute())))
        if kept is None:
            raise OutputError(self.notes[-1])
        return kept

    def timing(self, key: PlanKey) -> bytes | None:
        """What the builder measured in earlier builds with this library on this device, or None."""
        if not is_private(self.folder):
            return None
        try:
            content = self._timing(key).read_bytes()
        except OSError:
            return None
        digest, data = content[:32], content[32:]
        return data if hashlib.sha256(data).digest() == digest else None

    def put_timing(self, key: PlanKey, data: bytes) -> None:
        """Keep the builder's measurements for the next build; `notes` says if that fails."""
        try:
            make_private(self.folder)
            write_durably(self._timing(key), hashlib.sha256(data).digest() + data)
        except (OSError, InputError) as exc:
            self._note(f"the builder's timings are not kept in {self.folder}: {_text(exc)}")

    def put_layers(self, key: PlanKey, information: str) -> Path | None:
        """Keep the inspector's JSON of an engine that is refused; its path, None if that fails."""
        return self._put_beside(key, LAYERS, information)

    def refuse(self, key: PlanKey, reason: str) -> None:
        """Keep what a check found against the engine of that key, until `put` or `clean`."""
        self._put_beside(
            key, REFUSED, json.dumps({"reason": reason, "date": f"{datetime.now():%Y-%m-%d}"})
        )

    def refusal(self, key: PlanKey) -> str | None:
        """What a check found in an earlier build, with its date and what to do; None if nothing."""
        try:
            found = json.loads(self.path(key).with_suffix(REFUSED).read_bytes())
            return (
                f"{found['reason']}; found on {found['date']}: `rtseg compile RECIPE.toml "
                "--rebuild` tries again"
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def tell(self, text: str) -> None:
        """Say what matters now and not afterwards."""
        if self._say is not None:
            self._say(text)

    @contextmanager
    def building(self, key: PlanKey) -> Iterator[None]:
        """One build at a time with this library on this device, over all processes.

        Builders time their candidates, so two at once would spoil each other's figures. Look again
        (`get`) once inside: another process may just have built the plan.
        """
        with ExitStack() as stack:
            with suppress(OSError):  # read-only: nothing can be kept, so nobody would wait
                make_private(self.folder)
                path = self.folder / (key.builder() + LOCK)
                stack.enter_context(hold(path, lambda: self._note(_WAITING)))
            yield

    def path(self, key: PlanKey) -> Path:
        """Where the plan of that key is kept, or would be."""
        return self.folder / (key.digest() + PLAN)

    def entry(self, key: PlanKey) -> Entry | None:
        """The plan of that key as it is listed, or None if there is none."""
        plan = self.path(key)
        there = is_private(self.folder) and plan.with_suffix(RECORD).exists()
        return read_entry(plan) if there else None

    def entries(self) -> list[Entry]:
        """All plans, the newest first; those without a record come last."""
        files = [path for path in own_files(self.folder) if ending(path) in (PLAN, RECORD)]
        plans = {path.with_suffix(PLAN) for path in files}
        found = map(read_entry, sorted(plans))
        oldest = datetime.min.replace(tzinfo=UTC)
        return sorted(found, key=lambda entry: entry.date or oldest, reverse=True)

    def clean(self, *, everything: bool = False) -> list[Path]:
        """Remove what can never be loaded, or everything; the paths of the files removed.

        Raises InputError while a build is going on, OutputError if a file cannot be removed.
        """
        return clean(self.folder, everything=everything)

    def _keep(self, key: PlanKey, data: bytes, record: Record) -> Path | None:
        plan = self.path(key)
        try:
            make_private(self.folder)
            for suffix in (RECORD, LAYERS, REFUSED):  # they must not outlive their plan
                plan.with_suffix(suffix).unlink(missing_ok=True)
            with _removed_on_failure(plan):
                write_durably(plan, data)
                write_durably(plan.with_suffix(RECORD), record.model_dump_json(indent=2).encode())
        except (OSError, InputError) as exc:
            self._note(f"the plan is not kept in {self.folder}: {_text(exc)}")
            return None
        return plan

    def _put_beside(self, key: PlanKey, suffix: str, text: str) -> Path | None:
        """The path of a file beside the plan; None if it cannot be written."""
        path = self.path(key).with_suffix(suffix)
        try:
            make_private(self.folder)
            write_durably(path, text.encode())
        except (OSError, InputError):
            return None
        return path

    def _why_none(self, key: PlanKey) -> str:
        """What is different about the most similar plan of that model and size."""
        relatives = sorted(self._relatives(key), key=lambda r: r.built, reverse=True)
        phrases = [differences(record.key, key) for record in relatives]
        nearest = min(phrases, key=len, default=[])
        return "; ".join(nearest) or "no plan yet"

    def _relatives(self, key: PlanKey) -> Iterator[Record]:
        """Records of plans of the same kind, model and size."""
        for path in own_files(self.folder):
            with suppress(Unusable):
                record = read_record(path.with_suffix(PLAN)) if ending(path) == RECORD else None
                if record and record.key.subject() == key.subject():
                    yield record

    def _timing(self, key: PlanKey) -> Path:
        return self.folder / (key.builder() + TIMING)

    def _note(self, text: str) -> None:
        self.notes.append(text)
        self.tell(text)


_WAITING = "another process is building for this device; waiting for it"


def _text(exc: Exception) -> str:
    return (exc.strerror if isinstance(exc, OSError) else None) or str(exc)


@contextmanager
def _removed_on_failure(plan: Path) -> Iterator[None]:
    """A plan whose record cannot be written only takes space."""
    try:
        yield
    except OSError:
        with suppress(OSError):
            plan.unlink(missing_ok=True)
        raise


def _foreign(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise InputError(f"cannot read the plan {path}: {exc.strerror}") from exc
    if not data:
        raise InputError(f"the plan {path} is empty; expected a serialised engine")
    return data
