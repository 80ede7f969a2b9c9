"""What decoding and encoding on the GPU both need."""

from __future__ import annotations

import av

from rtseg.device import driver

_PYAV = 18
"""The first that keeps decoded frames on the GPU, encodes from there, and is known to."""


def missing() -> str | None:
    """Why FFmpeg cannot work on a GPU here; None if neither driver nor PyAV speaks against it."""
    if int(av.__version__.split(".")[0]) < _PYAV:
        return f"PyAV {av.__version__} has no frames on the GPU; install av {_PYAV}"
    return driver.missing()
