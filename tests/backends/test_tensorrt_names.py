"""Every name of TensorRT that our code uses, against the real bindings of 10.16 and 11.4."""

from __future__ import annotations

import re
from typing import Any

import pytest
import trt_calls
import trt_wheels
from trt_calls import Use

LOOK = """
def find(name):
    found = trt
    for part in name.split("."):
        if not hasattr(found, part):
            return None
        found = getattr(found, part)
    return {"doc": found.__doc__ or "", "settable": getattr(found, "fset", None) is not None,
            "methods": [n for n, v in vars(found).items() if callable(v) and n[0] != "_"]
                       if isinstance(found, type) else []}
print(json.dumps({name: find(name) for name in given}))
"""

LIVE = """
from rtseg.backends.plans import BuildOptions
from rtseg.backends.trt_build import build_plan
from rtseg.backends.trt_engine import TensorRtEngine
from rtseg.backends.trt_log import logger_of
from rtseg.backends.trt_module import load_module
from rtseg.backends.trt_progress import monitor_of
from rtseg.device import driver
from rtseg.errors import EngineError
from rtseg.model import Model

driver.missing = lambda: None
assert load_module() is trt
said = {"version": trt.__version__}
log = logger_of(trt)
assert isinstance(log, trt.ILogger)
log.log(trt.ILogger.Severity.INFO, "not kept")
log.log(trt.ILogger.Severity.WARNING, "a warning")
log.log(trt.ILogger.Severity.ERROR, "an error ")
said["reasons"] = [log.reasons(), log.forget(), log.reasons()]
steps = []
monitor = monitor_of(trt, lambda *step: steps.append(step))
assert isinstance(monitor, trt.IProgressMonitor)
monitor.phase_start("a", None, 2)
assert monitor.step_complete("a", 0) is True
monitor.phase_finish("a")
said["steps"] = steps
model = Model.load("dilanet-s")
for name, action in {
    "build": lambda: build_plan(trt, model, (96, 64), BuildOptions()),
    "load": lambda: TensorRtEngine(trt, b"", model, (96, 64)),
}.items():
    try:
        action()
    except EngineError as exc:
        said[name] = str(exc)
print(json.dumps(said))
"""


@pytest.fixture(scope="module", params=trt_wheels.VERSIONS)
def bindings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(version, environment) in which the real bindings can be imported."""
    version = str(request.param)
    return version, trt_wheels.installed(version, tmp_path_factory.mktemp("tensorrt"))


@pytest.fixture(scope="module")
def surface(bindings: Any) -> dict[str, Any]:
    """What the bindings have under each name that is used, None where they have nothing."""
    classes = {use.name for use in trt_calls.uses()} | set(trt_calls.overrides())
    constructors = {f"{name}.__init__" for name in classes}
    found: dict[str, Any] = trt_wheels.run(LOOK, bindings[1], sorted(classes | constructors))
    return found


def test_all_names_exist(surface: dict[str, Any]) -> None:
    uses = trt_calls.uses()
    assert len(uses) > 40
    assert not [use for use in uses if surface[use.name] is None]


def test_the_versions_really_differ(bindings: Any) -> None:
    """What TensorRT 11 removed is seen as missing; so the test above would see it."""
    version, environment = bindings
    found = trt_wheels.run(LOOK, environment, ["BuilderFlag.FP16", "Builder.create_network"])
    assert (found["BuilderFlag.FP16"] is None) == version.startswith("11.")
    assert found["Builder.create_network"] is not None


def test_what_is_assigned_can_be(surface: dict[str, Any]) -> None:
    written = [use for use in trt_calls.uses() if use.kind == "write"]
    assert {use.name for use in written} >= {"IBuilderConfig.progress_monitor", "ITensor.shape"}
    assert not [use for use in written if not surface[use.name]["settable"]]


def test_arguments_fit_a_signature(surface: dict[str, Any]) -> None:
    calls = [use for use in trt_calls.uses() if use.kind == "call"]
    assert len(calls) > 25
    for use in calls:
        made = use.name in ("Builder", "OnnxParser", "Runtime")
        known = signatures(surface[f"{use.name}.__init__" if made else use.name]["doc"])
        bare = use.name.endswith(".__init__")  # called on the class: self is an argument
        assert any(accepts(s, use, int(bare)) for s in known), (use, known)


def test_our_methods_override_those_of_the_base(surface: dict[str, Any], bindings: Any) -> None:
    ours = trt_calls.overrides()
    assert set(ours) == {"ILogger", "IProgressMonitor"}
    names = [f"{base}.{name}" for base in ours for name in surface[base]["methods"]]
    docs = trt_wheels.run(LOOK, bindings[1], names)
    for name in names:
        base, method = name.split(".")
        if signatures(docs[name]["doc"]):  # an enumeration in the class has none
            (signature,) = signatures(docs[name]["doc"])
            assert ours[base].get(method) == [p for p, _ in signature], name


def test_our_classes_work_on_the_real_bindings(bindings: Any) -> None:
    """The libraries are empty: a builder is not had, and that is said as it should be."""
    version, environment = bindings
    said = trt_wheels.run(LIVE, environment)
    assert said["version"] == version
    assert said["reasons"] == ["an error", None, "TensorRT gave no reason in its log"]
    assert said["steps"] == [["a", 0, 2], ["a", 1, 2], ["a", 2, 2]]
    assert re.match(r"TensorRT cannot build dilanet-s.onnx at 96x64: .*nullptr", said["build"])
    assert re.match(r"TensorRT cannot load the plan: .*nullptr", said["load"])


def signatures(doc: str) -> list[list[tuple[str, bool]]]:
    """(name, whether it may be left out) of each parameter but self, for each overload in a
    docstring of pybind11."""
    found = re.findall(r"^\s*(?:\d+\. )?\w+\(self: [^\n]*?(?:, (.*))?\) -> ", doc, re.M)
    return [[parameter(part) for part in split(inside)] for inside in found]


def split(inside: str) -> list[str]:
    """At the commas outside all brackets."""
    parts, depth = [""], 0
    for character in inside:
        depth += (character in "[(<{") - (character in "])>}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def parameter(text: str) -> tuple[str, bool]:
    return text.split(":")[0].strip(), " = " in text


def accepts(signature: list[tuple[str, bool]], use: Use, extra: int) -> bool:
    given = use.arguments - extra
    by_name = {name for name, _ in signature[given:]}
    needed = {name for name, optional in signature[given:] if not optional}
    return given <= len(signature) and needed <= set(use.keywords) <= by_name


def test_signatures_are_read_from_docstrings() -> None:
    doc = """f(*args, **kwargs)
    Overloaded function.

1. f(self: a.b, pool: a.T, n: typing.SupportsInt = <X.Y: 0>) -> bool
2. f(self: a.b) -> list[str]
"""
    assert signatures(doc) == [[("pool", False), ("n", True)], []]
    use = Use("", "f", "call", 1, ("n",))
    assert accepts([("pool", False), ("n", True)], use, 0)
    assert not accepts([], use, 0)
    assert not accepts([("pool", False), ("m", False)], Use("", "f", "call", 1), 0)
