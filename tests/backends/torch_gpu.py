"""What tests of the torch engines on a GPU share."""

from __future__ import annotations

import os

import pytest

from rtseg.backends import available


def require_gpu() -> None:
    """Skip where torch has no GPU; fail instead if RTSEG_REQUIRE_GPU is 1."""
    reason = available.torch_gpu_missing()
    if reason:
        stop = pytest.fail if os.environ.get("RTSEG_REQUIRE_GPU") == "1" else pytest.skip
        stop(f"torch cannot use a GPU: {reason}")
