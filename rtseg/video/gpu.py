"""What decoding and encoding on the GPU both need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import av
from av.codec.hwaccel import HWAccel

from rtseg.device import driver
from rtseg.device.failures import translated
from rtseg.errors import EngineError

_PYAV = 18
"""The first that keeps decoded frames on the GPU, encodes from there, and is known to."""

CONTEXT: dict[str, object] = {"primary_ctx": "0", "current_ctx": "1"}
"""Options of FFmpeg's CUDA device: it works in the context that is current in the calling thread.

By default PyAV has FFmpeg ask for the device's primary context, which is the same one. FFmpeg
refuses that if somebody else made it first, as the engine does, with other flags than
CU_CTX_SCHED_BLOCKING_SYNC (`cuda_context_init` in
https://github.com/FFmpeg/FFmpeg/blob/master/libavutil/hwcontext_cuda.c).
"""


def missing() -> str | None:
    """Why FFmpeg cannot work on a GPU here; None if neither driver nor PyAV speaks against it."""
    if int(av.__version__.split(".")[0]) < _PYAV:
        return f"PyAV {av.__version__} has no frames on the GPU; install av {_PYAV}"
    return driver.missing()


def enter() -> None:
    """Make the device's primary context, which all our memory is in, that of the calling thread.

    Raises EngineError.
    """
    try:
        cuda: Any = import_module("numba.cuda")
    except ImportError as exc:
        raise EngineError(
            f"numba-cuda cannot be loaded ({exc}); pip install 'rtseg[cuda]'"
        ) from exc
    with translated("starting CUDA for FFmpeg"):
        cuda.current_context()


def accelerator() -> HWAccel:
    """What PyAV is to decode or encode with, to be handed over in the calling thread.

    With software allowed a stream that NVDEC does not take shows in its first frame, instead of
    failing packet by packet. Raises EngineError.
    """
    enter()
    return HWAccel(
        "cuda", device="0", allow_software_fallback=True, options=CONTEXT, is_hw_owned=True
    )
