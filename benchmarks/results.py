"""Results as JSON, with what they were measured on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rtseg.benchmark import machine

FOLDER = Path(__file__).parent / "results"


def write(name: str, figures: Mapping[str, object]) -> None:
    """Write results/<name>.json: the machine, versions and date, then the figures."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(environment() | dict(figures), indent=1) + "\n")
    print(f"\nwrote {path}")


def environment() -> dict[str, object]:
    """Date, processor and versions."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        **machine.machine(),
        "versions": machine.versions(),
    }
