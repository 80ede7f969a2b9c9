"""Results as JSON, with what they were measured on."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from rtseg.hardware import cpu_count, cpu_flags, cpu_name

FOLDER = Path(__file__).parent / "results"
PACKAGES = ("rtseg", "numpy", "numba", "openvino", "av", "opencv-python", "torch")


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
        "device": cpu_name(),
        "instructions": cpu_flags(),
        "cores": cpu_count(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
