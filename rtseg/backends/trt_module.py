"""TensorRT's Python module, loaded only where it can work."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from rtseg.backends.installed import tensorrt_too_new
from rtseg.device import driver
from rtseg.errors import EngineError

OLDEST = (10, 12)
NEWEST = 11
"""The major version this code was checked against last; later ones may remove what it calls."""

INSTALL = 'pip install "tensorrt>=10.12,<12"'


def load_module() -> Any:
    """The module `tensorrt`, 10.12 or newer.

    Asks the driver first: without a GPU, or with a driver too old for it, TensorRT returns objects
    whose next call ends the process. Raises EngineError with what to install.
    """
    missing = driver.missing() or tensorrt_too_new()
    if missing:
        raise EngineError(f"TensorRT cannot run here: {missing}")
    try:
        trt: Any = import_module("tensorrt")
    except (ImportError, OSError) as exc:
        raise EngineError(f"TensorRT cannot be loaded ({exc}); {INSTALL}") from exc
    check_version(str(trt.__version__))
    return trt


def check_version(version: str) -> None:
    """Raise EngineError unless this version has everything that is called here."""
    found = re.match(r"(\d+)\.(\d+)", version)
    number = (int(found[1]), int(found[2])) if found else (0, 0)
    if number < OLDEST or number[0] > NEWEST:
        raise EngineError(f"TensorRT {version} is installed; expected 10.12 to 11; {INSTALL}")
