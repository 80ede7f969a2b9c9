"""TensorRT's real Python bindings, imported where there is no TensorRT.

The binding wheels are on the package index, the libraries behind them are not. The bindings load
all the same with three libraries in their place that define the nine functions they want and do
nothing. So their names, signatures and base classes can be looked at; nothing can be built or run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "tensorrt-cu13-bindings"
VERSIONS = ("10.16.1.11", "11.4.0.106")

_SYMBOLS = (
    "createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL", "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL", "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry", "getNvOnnxParserVersion", "getPluginRegistry",
    "initLibNvInferPlugins",
)  # fmt: skip
_LIBRARIES = ("libnvinfer", "libnvinfer_plugin", "libnvonnxparser")

_AS_TENSORRT = "import sys, tensorrt_bindings as trt; sys.modules['tensorrt'] = trt\n"


def installed(version: str, folder: Path) -> dict[str, str]:
    """The environment in which that version's bindings can be imported as `tensorrt_bindings`.

    Skips where wheel or compiler are missing, fails with RTSEG_REQUIRE_WHEELS=1.
    """
    with zipfile.ZipFile(_wheel(version)) as wheel:
        wheel.extractall(folder)
    _empty_libraries(folder, version.split(".")[0])
    path = os.pathsep.join(map(str, (folder, ROOT)))
    return os.environ | {"LD_LIBRARY_PATH": str(folder), "PYTHONPATH": path}


def run(script: str, environment: dict[str, str], given: Any = None) -> Any:
    """The JSON that a script prints which has the bindings as `trt`; `given` is its `given`.

    In a process of its own: two versions do not fit into one.
    """
    start = _AS_TENSORRT + "import json; given = json.load(sys.stdin)\n"
    done = subprocess.run(
        [sys.executable, "-c", start + script], input=json.dumps(given), env=environment,
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _wheel(version: str) -> Path:
    folder = Path(os.environ.get("RTSEG_WHEELS", Path.home() / ".cache" / "rtseg-tests"))
    pattern = (
        f"{PACKAGE.replace('-', '_')}-{version}-cp{sys.version_info[0]}{sys.version_info[1]}-*"
    )
    if not list(folder.glob(pattern)):
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:",
             "--quiet", "--retries", "1", "-d", folder, f"{PACKAGE}=={version}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode or not list(folder.glob(pattern)):
            absent(f"no {PACKAGE} {version} for this Python and system: {done.stderr[-300:]}")
    return next(folder.glob(pattern))


def _empty_libraries(folder: Path, major: str) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        absent("no C compiler for the empty libraries that the bindings load")
    source = folder / "empty.c"
    source.write_text("\n".join(f"void *{name}(void) {{ return 0; }}" for name in _SYMBOLS))
    for name in _LIBRARIES:
        soname = f"{name}.so.{major}"
        flags = ["-shared", "-fPIC", f"-Wl,-soname,{soname}", "-o", str(folder / soname)]
        subprocess.run([str(compiler), *flags, str(source)], check=True)


def absent(reason: str) -> None:
    """Skip, or fail with RTSEG_REQUIRE_WHEELS=1."""
    if os.environ.get("RTSEG_REQUIRE_WHEELS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
