"""`rtseg doctor`: what this machine can do, and why it cannot do the rest."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

PACKAGES = (
    "numpy", "numba", "openvino", "onnx", "av", "opencv-python", "pillow", "pydantic",
    "numba-cuda", "torch", "tensorrt", "torch-tensorrt",
)  # fmt: skip


def doctor() -> None:
    """Show versions, processor, engines and codecs of this machine."""
    from rich.console import Console

    console = Console(highlight=False)
    _show(console, "System", _system())
    _show(console, "Packages", _packages())
    _show(console, "Engines, in the order in which --backend auto prefers them", _engines())
    _show(console, "torch-TensorRT runs with these versions only", _pairs())
    _show(console, "Video", _codecs())


def _show(console: Console, title: str, rows: Iterable[tuple[str, ...]]) -> None:
    """A table of texts, which may hold brackets."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", box=None,
                  show_header=False, padding=(0, 2, 0, 0))  # fmt: skip
    for name, *values in rows:
        table.add_row(Text(name, no_wrap=True), *map(_coloured, values))
    console.print(table)


def _coloured(value: str) -> Text:
    """The answer at the start of a value in green or red; in yellow if it was not tried."""
    from rich.text import Text

    text = Text(value)
    text.highlight_regex(r"^yes\b", "green")
    text.highlight_regex(r"^should run\b", "yellow")
    text.highlight_regex(r"^no\b", "red")
    return text


def _system() -> Iterator[tuple[str, str]]:
    from rtseg import __version__
    from rtseg.device import driver
    from rtseg.hardware import cpu_count, cpu_flags, cpu_name

    yield "rtseg", __version__
    yield "python", f"{sys.version.split()[0]} on {platform.platform()}"
    yield "processor", f"{cpu_name()}, {cpu_count()} cores for this process"
    yield "instructions", " ".join(cpu_flags()) or "unknown"
    no_gpu = driver.missing()
    for text in [no_gpu] if no_gpu else _gpus():
        yield "NVIDIA GPU", text


def _gpus() -> list[str]:
    """Name, compute capability and memory of each GPU, and the CUDA of the driver; as far as the
    driver's bindings are there to ask it."""
    from rtseg.device.graph import driver_call
    from rtseg.errors import EngineError

    try:
        version = int(driver_call("cuDriverGetVersion"))
        count = int(driver_call("cuDeviceGetCount"))
        cuda = f"CUDA {version // 1000}.{version % 1000 // 10}"
        return [f"{_gpu(driver_call('cuDeviceGet', i))}, {cuda}" for i in range(count)]
    except EngineError as exc:
        return [f"usable, says its driver; its name is not known ({exc})"]


def _gpu(device: Any) -> str:
    """Such as "NVIDIA H100 80GB HBM3, sm_90, 79 GiB"."""
    from rtseg.device.graph import driver_call

    kinds: Any = import_module("cuda.bindings.driver").CUdevice_attribute
    name = driver_call("cuDeviceGetName", 128, device).split(b"\0")[0].decode()
    memory = int(driver_call("cuDeviceTotalMem", device)) / 2**30
    major, minor = (
        driver_call("cuDeviceGetAttribute", getattr(kinds, f"{_CAPABILITY}_{part}"), device)
        for part in ("MAJOR", "MINOR")
    )
    return f"{name}, sm_{major}{minor}, {memory:.0f} GiB"


_CAPABILITY = "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY"


def _packages() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        yield name, _version(name) or "not installed"


def _engines() -> Iterator[tuple[str, str]]:
    """Each engine, whether it can run here, and which one `auto` takes. Only OpenVINO is loaded."""
    from rtseg.backends import available
    from rtseg.errors import EngineError

    for name in available.PREFERRED:
        missing = available.missing(name)
        yield name, f"no: {missing}" if missing else _running(name)
    try:
        chosen = available.choose()
    except EngineError:
        yield "auto", "no: there is no engine that it could take"
        return
    better = available.PREFERRED[: available.PREFERRED.index(chosen)]
    why = f": {', '.join(better)} cannot run on a GPU here" if better else ", its first choice"
    yield "auto", chosen + why


def _running(name: str) -> str:
    """Where an engine that is not missing runs, and in what precision."""
    from rtseg.backends import available

    if name == "openvino":
        return _openvino()
    no_gpu = available.torch_gpu_missing() if name == "torch" else None
    if no_gpu:
        return (
            "should run on the CPU (not loaded), f32 or bf16; auto passes it over, openvino is "
            f"faster ({no_gpu})"
        )
    on_cpu = "; f32 and bf16 on the CPU" if name == "torch" else ""
    return f"should run on the GPU (not loaded), f16{on_cpu}"


def _openvino() -> str:
    from rtseg.backends.openvino import best_precision
    from rtseg.errors import EngineError

    try:
        return f"yes, on the CPU, {best_precision()} (the faster one here, measured)"
    except EngineError as exc:
        return f"no: it does not load: {exc}"


def _pairs() -> Iterator[tuple[str, str]]:
    """The versions that belong together; what is installed fits one of them, or none."""
    from rtseg.backends.installed import tensorrt_version
    from rtseg.backends.torch_pairs import PAIRS, minor

    installed = [minor(_version("torch-tensorrt") or ""), minor(_version("torch") or "")]
    for pair in PAIRS:
        text = f"torch {pair.torch}, tensorrt {pair.tensorrt}"
        fits = [minor(pair.torch_tensorrt), pair.torch] == installed
        if fits and minor(tensorrt_version() or "") == pair.tensorrt:
            text += " ← installed"
        elif pair.torch == installed[1]:
            text += " ← fits the torch that is installed"
        yield pair.torch_tensorrt, text


def _codecs() -> Iterator[tuple[str, str]]:
    import av
    from av.codec import Codec
    from av.error import FFmpegError

    from rtseg.video import decoding, nvenc

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
    yield "encoders", " ".join(encoders)
    for name, reason in (("NVDEC", decoding.missing()), ("NVENC", nvenc.missing(1280, 720))):
        yield name, f"no: {reason}" if reason else "yes"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
