"""`rtseg doctor`: what this machine can do, and why it cannot do the rest."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Literal

PACKAGES = (
    "numpy", "numba", "openvino", "onnx", "av", "opencv-python", "pillow", "pydantic",
    "torch", "tensorrt", "torch-tensorrt",
)  # fmt: skip


def doctor() -> None:
    """Show versions, processor, engines and codecs of this machine."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for title, rows in (
        ("System", _system()), ("Packages", _packages()), ("Engines", _engines()),
        ("Video", _codecs()),
    ):  # fmt: skip
        table = Table(title=title, title_justify="left", title_style="bold", box=None,
                      show_header=False, padding=(0, 2, 0, 0))  # fmt: skip
        for row in rows:
            table.add_row(*row)
        console.print(table)


def _system() -> Iterator[tuple[str, str]]:
    from rtseg import __version__
    from rtseg.device import driver
    from rtseg.hardware import cpu_count, cpu_flags, cpu_name

    yield "rtseg", __version__
    yield "python", f"{sys.version.split()[0]} on {platform.platform()}"
    yield "processor", f"{cpu_name()}, {cpu_count()} cores for this process"
    yield "instructions", " ".join(cpu_flags()) or "unknown"
    yield "NVIDIA GPU", driver.missing() or "usable, says its driver"


def _packages() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        yield name, _version(name) or "not installed"


def _engines() -> Iterator[tuple[str, str]]:
    """Each engine, and whether it can run here."""
    from rtseg.device import driver

    yield "openvino", _openvino()
    gpu = driver.missing()
    for name in ("tensorrt", "torch-tensorrt"):
        missing = [] if _version(name) else [f"{name} is not installed"]
        missing += ["no usable NVIDIA GPU"] if gpu else []
        missing.append("this version of rtseg has no such engine yet")
        yield name, "no: " + "; ".join(missing)


def _openvino() -> str:
    from rtseg.backends.openvino import best_precision
    from rtseg.errors import EngineError

    try:
        return f"yes, on the CPU, {best_precision()} (the faster one here, measured)"
    except EngineError as exc:
        return f"no: {exc}"


def _codecs() -> Iterator[tuple[str, str]]:
    import av
    from av.codec import Codec
    from av.error import FFmpegError

    def found(name: str, mode: Literal["r", "w"]) -> bool:
        try:
            Codec(name, mode)
        except (FFmpegError, ValueError):
            return False
        return True

    decoders = [n for n in ("h264", "hevc", "vp9", "libdav1d", "av1", "mjpeg") if found(n, "r")]
    encoders = [n for n in ("libx264", "h264_nvenc") if found(n, "w")]
    yield "FFmpeg", ".".join(map(str, av.library_versions["libavcodec"])) + " (libavcodec)"
    yield "decoders", " ".join(decoders)
    yield "encoders", " ".join(encoders) + (" (built in; needs a GPU)" if len(encoders) > 1 else "")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
