"""The wheels of torch-TensorRT, read as archives: nothing of them is installed or run."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

from trt_wheels import absent

_SECONDS = 120


@cache
def wheel(version: str) -> Path:
    """The wheel of a release, fetched once.

    Skips, with the reason, where the index lacks it; fails with RTSEG_REQUIRE_WHEELS=1. It lies in
    the folder of the variable RTSEG_WHEELS, by default ~/.cache/rtseg-tests.
    """
    folder = Path(os.environ.get("RTSEG_WHEELS") or Path.home() / ".cache" / "rtseg-tests")
    pattern = f"torch_tensorrt-{version}-cp311-*.whl"
    if not list(folder.glob(pattern)):
        _fetch(version, folder)
    return next(folder.glob(pattern))


def _fetch(version: str, folder: Path) -> None:
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--only-binary=:all:", "--python-version=3.11",
        "--platform=manylinux_2_28_x86_64", f"--dest={folder}", f"torch-tensorrt=={version}",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        absent(f"no wheel of torch-tensorrt {version} within {_SECONDS} s")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        absent(f"no wheel of torch-tensorrt {version}: {last}")


def source(version: str, member: str) -> ast.Module:
    """A Python file of the wheel, parsed."""
    with zipfile.ZipFile(wheel(version)) as archive:
        return ast.parse(archive.read(f"torch_tensorrt/{member}").decode())


def metadata(version: str) -> str:
    """What the wheel says of itself."""
    with zipfile.ZipFile(wheel(version)) as archive:
        return archive.read(f"torch_tensorrt-{version}.dist-info/METADATA").decode()


def parameters(tree: ast.Module, function: str) -> tuple[list[str], set[str]]:
    """Names of the positional parameters and of the keyword-only ones of a function."""
    (found,) = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function
    ]
    return [a.arg for a in found.args.args], {a.arg for a in found.args.kwonlyargs}


def constants(tree: ast.Module) -> dict[str, object]:
    """Names that a module binds to plain values."""
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def names_imported(tree: ast.Module) -> set[str]:
    """What the file imports: modules, and "module.*" for all names of one."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found
