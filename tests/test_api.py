"""What importing rtseg gives, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import rtseg

PUBLIC = {
    "Frame", "LabelSet", "Model", "Pipeline", "RtsegError", "Segmentation", "Segmenter",
    "Yuv420", "__version__", "list_models", "open_source",
}  # fmt: skip


def test_public_names_are_pinned_and_load() -> None:
    assert set(rtseg.__all__) == PUBLIC
    assert len(PUBLIC) <= 12
    for name in PUBLIC:
        assert getattr(rtseg, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        rtseg.nonsense  # noqa: B018


def test_import_is_light() -> None:
    code = (
        "import sys, rtseg;"
        "heavy = {'numpy', 'numba', 'torch', 'openvino', 'onnx', 'av', 'cv2', 'pydantic'};"
        "sys.exit(sorted(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
