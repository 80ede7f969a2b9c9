"""What the figures were measured on: device, driver, CUDA, packages, revision."""

from __future__ import annotations

import platform
import re
import subprocess
from contextlib import suppress
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import rtseg
from rtseg.device.graph import driver_call
from rtseg.hardware import cpu_count, cpu_name

ROOT = Path(__file__).parent.parent
_CAPABILITY = "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY"


def machine() -> dict[str, Any]:
    """The first GPU, as the driver describes it, and the rest of the machine.

    Raises EngineError where the driver cannot be asked.
    """
    driver_call("cuInit", 0)
    device = driver_call("cuDeviceGet", 0)
    kinds: Any = import_module("cuda.bindings.driver").CUdevice_attribute

    def attribute(name: str) -> int:
        return int(driver_call("cuDeviceGetAttribute", getattr(kinds, name), device))

    version = int(driver_call("cuDriverGetVersion"))
    return {
        "gpu": driver_call("cuDeviceGetName", 128, device).split(b"\0")[0].decode(),
        "capability": f"sm_{attribute(_CAPABILITY + '_MAJOR')}{attribute(_CAPABILITY + '_MINOR')}",
        "multiprocessors": attribute("CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT"),
        "l2_mib": round(attribute("CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE") / 2**20, 1),
        "memory_gib": round(int(driver_call("cuDeviceTotalMem", device)) / 2**30, 1),
        "pci": driver_call("cuDeviceGetPCIBusId", 32, device).split(b"\0")[0].decode(),
        "driver": driver_version(),
        "cuda_of_driver": f"{version // 1000}.{version % 1000 // 10}",
        "cpu": cpu_name(),
        "cores": cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def driver_version(path: Path = Path("/proc/driver/nvidia/version")) -> str | None:
    """Such as "580.159.04", as the kernel's module says; None if it does not."""
    with suppress(OSError):
        found = re.search(r"\b(\d{3}\.\d+(?:\.\d+)?)\b", path.read_text())
        return found[1] if found else None
    return None


def versions() -> dict[str, str]:
    """Every installed package with its version, and rtseg's own."""
    found = {d.metadata["Name"]: d.version for d in metadata.distributions() if d.metadata["Name"]}
    return dict(sorted(found.items(), key=lambda item: item[0].lower())) | {
        "rtseg": rtseg.__version__
    }


def revision(root: Path = ROOT) -> dict[str, Any] | None:
    """The commit of a checkout, and whether files differ from it; None if git does not say."""
    with suppress(OSError, subprocess.CalledProcessError):
        return {
            "commit": _git(root, "rev-parse", "HEAD"),
            "changed": bool(_git(root, "status", "--porcelain", "--untracked-files=no")),
        }
    return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def slug(name: str) -> str:
    """A device's name for a file: "NVIDIA H200" → "h200"."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return words.removeprefix("nvidia-") or "gpu"
