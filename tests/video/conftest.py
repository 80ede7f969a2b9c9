"""What tests of decoding and encoding on a GPU share where there is none."""

from __future__ import annotations

import pytest
from clips import FINE, flat, write_clip

from rtseg.device import driver
from rtseg.video import decoding, gpu


@pytest.fixture
def no_gpu():
    if driver.missing() is None:
        pytest.skip("this machine has a GPU; the fallback has nothing to fall back from")


@pytest.fixture
def driven(no_gpu, monkeypatch):
    """The driver is said to be there, so that numba finds out that it is not."""
    monkeypatch.setattr(driver, "missing", lambda: None)
    monkeypatch.setattr(decoding, "_has_library", lambda: True)


@pytest.fixture
def claimed(driven, monkeypatch):
    """CUDA is said to work, so that FFmpeg itself finds out that it does not."""
    monkeypatch.setattr(gpu, "enter", lambda: None)
    monkeypatch.setattr("rtseg.video.nvdec.compile_copies", lambda: None)


@pytest.fixture
def fine_clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", (flat(i) for i in range(6)), options=FINE)
