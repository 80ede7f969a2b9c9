from __future__ import annotations

import os

import pytest

from rtseg.device import driver


@pytest.fixture(scope="session")
def gpu() -> None:
    """Skips where there is no GPU; fails instead if RTSEG_REQUIRE_GPU is 1."""
    why = driver.missing()
    if why:
        stop = pytest.fail if os.environ.get("RTSEG_REQUIRE_GPU") == "1" else pytest.skip
        stop(why)
