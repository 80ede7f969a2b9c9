"""What the tests of several backends share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from trt_machine import SIZE, Machine

from rtseg.backends.plans import PlanCache
from rtseg.device import driver
from rtseg.model import Model


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A stand-in for a GPU with TensorRT, in place of the modules."""
    made = Machine(Model.load("dilanet-s"), SIZE)
    for name, module in made.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(driver, "missing", lambda: None)
    monkeypatch.setattr(driver, "cuda_version", lambda: 13000)
    return made


@pytest.fixture
def cache(tmp_path: Path) -> PlanCache:
    """An empty cache of plans."""
    return PlanCache(tmp_path / "plans")
