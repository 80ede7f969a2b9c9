"""The record beside a plan: what it was built from and with, and the hash of its bytes.

A plan without a record that fits it is never loaded. The record is written last, so that a crash
while a plan is being kept leaves nothing that loads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from rtseg.backends.plan_key import SCHEMA, PlanKey
from rtseg.backends.plan_names import RECORD


class Unusable(Exception):  # noqa: N818 - an answer, not an error
    """Why a kept plan cannot be used."""


class NoPlan(Unusable):
    """There is none."""


class Record(BaseModel):
    """What stands in the JSON file beside a plan.

    sha256: of the plan. built: when it was taken into the cache. source: the file it was taken over
    from on the user's word; None if it was built here. facts: what was measured, such as agreement.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(default=SCHEMA, ge=SCHEMA, le=SCHEMA)
    key: PlanKey
    sha256: str
    built: AwareDatetime
    source: str | None = None
    facts: dict[str, JsonValue] = Field(default_factory=dict)

    @classmethod
    def of(
        cls, key: PlanKey, data: bytes, facts: Mapping[str, object], source: str | None
    ) -> Record:
        """The record of a plan that was made now."""
        plain: dict[str, Any] = json.loads(json.dumps(dict(facts), default=str))
        return cls(key=key, sha256=_sha256(data), built=datetime.now(UTC), source=source,
                   facts=plain)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """A plan in the cache, as `rtseg compile --list` shows it.

    path: the plan's file. key, date: of its record, None where that cannot be read. size: bytes.
    problem: why it can never be loaded, empty if `usable`; whether it fits this machine is another
    question. source: the file it was taken over from, None if it was built here.
    """

    path: Path
    key: PlanKey | None
    size: int
    date: datetime | None
    usable: bool
    problem: str = ""
    source: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def read_record(plan: Path) -> Record:
    """The record beside a plan. Raises Unusable."""
    path = plan.with_suffix(RECORD)
    try:
        return Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        if not plan.exists():
            raise NoPlan("no plan yet") from None
        said = "a plan without a record: writing it was cut off, or it was not built here"
        raise Unusable(said) from None
    except OSError as exc:
        raise Unusable(f"its record cannot be read: {exc.strerror}") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "JSON"
        said = f"its record is damaged, or of another version of rtseg ({where}: {first['msg']})"
        raise Unusable(said) from exc


def read_plan(plan: Path) -> tuple[Record, bytes]:
    """A plan's record and bytes, if they belong together. Raises Unusable."""
    record = read_record(plan)
    if record.key.digest() != plan.stem:
        raise Unusable("its record belongs to another plan")
    try:
        data = plan.read_bytes()
    except FileNotFoundError:
        raise Unusable("a record without its plan") from None
    except OSError as exc:
        raise Unusable(f"it cannot be read: {exc.strerror}") from exc
    if _sha256(data) != record.sha256:
        raise Unusable("the plan's hash does not match its record: a torn write or another file")
    return record, data


def read_entry(plan: Path) -> Entry:
    """A plan's entry in the list, whatever its state."""
    size = plan.stat().st_size if plan.exists() else 0
    record = None
    try:
        record = read_record(plan)
        read_plan(plan)
    except Unusable as exc:
        key, date = (record.key, record.built) if record else (None, None)
        return Entry(plan, key, size, date, usable=False, problem=str(exc))
    return Entry(
        plan, record.key, size, record.built, usable=True, source=record.source, facts=record.facts
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
