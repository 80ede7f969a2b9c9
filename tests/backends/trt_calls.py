"""What our code asks of TensorRT, read from its source: names, assignments, calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BACKENDS = Path(__file__).parents[2] / "rtseg" / "backends"
FILES = sorted(
    {*BACKENDS.glob("trt_*.py"), BACKENDS / "tensorrt.py"} - {BACKENDS / "trt_precision.py"}
)
"""trt_precision only reads JSON."""

OBJECTS = {
    "trt": "",
    "_trt": "",
    "severities": "ILogger.Severity",
    "modes": "TensorIOMode",
    "types": "DataType",
    "builder": "Builder",
    "network": "INetworkDefinition",
    "tensor": "ITensor",
    "parser": "OnnxParser",
    "error": "ParserError",
    "config": "IBuilderConfig",
    "profile": "IOptimizationProfile",
    "timing_cache": "ITimingCache",
    "runtime": "Runtime",
    "cuda_engine": "ICudaEngine",
    "_cuda_engine": "ICudaEngine",
    "inspector": "EngineInspector",
    "_execution": "IExecutionContext",
}
"""Variables (and attributes of self) that hold TensorRT's objects, and their classes."""

OTHERS = {
    "()", "''", "_NO_MEMORY", "_contexts", "_graph", "_kept", "_log", "_ready", "_recordings",
    "_steps", "array", "cache", "context", "cuda", "dict", "driver", "dtype", "engine", "first",
    "found", "graph", "input", "key", "log", "made", "model", "monitor", "msg", "name", "options",
    "refused",
}  # fmt: skip
"""Variables and attributes of self that hold something else. Imported names do too."""


class Use(NamedTuple):
    """One use of a name of TensorRT, such as "IBuilderConfig.set_timing_cache".

    kind: "read", "write" or "call"; arguments: how many by position; keywords: those by name.
    """

    where: str
    name: str
    kind: str
    arguments: int = 0
    keywords: tuple[str, ...] = ()


def uses() -> list[Use]:
    """All that the files say. Raises AssertionError for a variable in neither list."""
    return [use for path in FILES for use in _uses(path)]


def overrides() -> dict[str, dict[str, list[str]]]:
    """Base class of TensorRT → our public methods → their parameters without self."""
    classes = [
        node for path in FILES for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]  # fmt: skip
    return {
        _chain(base)[1]: {
            method.name: [argument.arg for argument in method.args.args[1:]]
            for method in node.body
            if isinstance(method, ast.FunctionDef) and not method.name.startswith("_")
        }
        for node in classes
        for base in node.bases
        if _chain(base)[0] == "trt"
    }


def _uses(path: Path) -> Iterator[Use]:
    tree = ast.parse(path.read_text())
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    others = OTHERS | _imported(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        root, *rest = _chain(node)
        if root in OBJECTS and rest:
            yield _use(f"{path.name}:{node.lineno}", root, rest, node, called.get(id(node)))
        elif rest:
            assert root in others, f"{path.name}:{node.lineno}: is {root} an object of TensorRT?"


def _imported(tree: ast.Module) -> set[str]:
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    return {alias.asname or alias.name for node in imports for alias in node.names}


def _use(where: str, root: str, rest: list[str], node: ast.Attribute, call: ast.Call | None) -> Use:
    name = ".".join(filter(None, [OBJECTS[root], *rest]))
    if call is not None:
        keywords = tuple(str(keyword.arg) for keyword in call.keywords)
        return Use(where, name, "call", len(call.args), keywords)
    return Use(where, name, "write" if isinstance(node.ctx, ast.Store) else "read")


def _chain(node: ast.expr) -> list[str]:
    """["builder", "create_network"] of `builder.create_network`; self._x starts with "_x".

    Starts with "()" where it is an attribute of a call's result, "''" of a string.
    """
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
        if node.id == "self" and len(parts) > 1:
            parts.pop()
    else:
        parts.append("''" if isinstance(node, ast.Constant | ast.JoinedStr) else "()")
    return parts[::-1]
