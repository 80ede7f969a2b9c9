"""Fixtures that all tests share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from rtseg.model import Model

# Shared machines stall: how long an example takes says nothing about the code.
settings.register_profile("rtseg", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rtseg")
# Tiny tensors: threads of torch would wait for each other longer than they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of the real data; skips where it is absent."""
    folder = Path(os.environ.get("RTSEG_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "camvid" / "test.txt").is_file():
        pytest.skip(f"no CamVid under {folder}; set RTSEG_DATA to the folder that has it")
    return folder


@pytest.fixture(scope="session")
def model() -> Model:
    """The default model that is shipped."""
    return Model.load("dilanet-m")


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same random tensors in every run."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
