"""Data flows one way: imports go down the layers, and no import cycle exists."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "rtseg"
FILES = sorted(PACKAGE.rglob("*.py"))

LAYERS = [
    {"errors"},
    {"classes", "closing", "files", "frame", "hardware", "interleave"},
    {"device"},
    {"contract", "metrics", "segmentation"},
    {"model", "kernels", "synthetic", "timing"},
    {"backends", "overlay", "video"},
    {"workers"},
    {"segmenter"},
    {"evaluation", "pipeline"},
    {"benchmark"},
    {"networks"},
    {"training"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
LAZY = {("segmentation", "kernels")}
"""Methods of a value that call a kernel import it when they are called."""


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, *, top_level: bool) -> set[str]:
    """Modules of rtseg that a file imports; those for type checking only are left out."""
    tree = ast.parse(path.read_text())
    skipped = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    known = {module_name(f) for f in FILES}
    found: set[str] = set()
    for node in tree.body if top_level else ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("rtseg"):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & known) or {node.module}  # submodules, or names of the module
    return found


def part(module: str) -> str:
    """The layer a module is in: its name right below the package."""
    return module.split(".")[1] if "." in module else module


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_upward_import(path: Path) -> None:
    own = part(module_name(path))
    if own == "rtseg" or path.name == "__main__.py":
        return
    for module in imports(path, top_level=False):
        other = part(module)
        if other not in ("rtseg", own) and (own, other) not in LAZY:
            assert LEVEL[other] < LEVEL[own], f"{own} imports {other}, which is not below it"


def test_no_import_cycle() -> None:
    graph = {
        module_name(path): imports(path, top_level=True) - {module_name(path)} for path in FILES
    }
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300
