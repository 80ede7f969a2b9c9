"""The document of `scripts/gpu-check`: its form, its marks, its tables, and the exit code."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests")]

import gpu_document  # noqa: E402
from gpu_documents import made_document, stream_row  # noqa: E402
from gpu_marks import longest, marks  # noqa: E402


@pytest.fixture
def document() -> dict[str, Any]:
    return made_document()


def test_a_document_is_as_it_should_be(document) -> None:
    assert gpu_document.problems(document) == []
    assert gpu_document.problems(gpu_document.new({}, {}, None)) == []


def test_what_is_wrong_with_a_document_is_named(document) -> None:
    del document["machine"]
    del document["engines"]["rows"][1]["p99_ms"]
    document["kernels"]["rows"][0]["size"] = "720p"
    document["failed"].append({"what": "engines"})
    document["tests"] = {"counts": {}}
    assert gpu_document.problems(document) == [
        "machine is missing",
        "engines[1].p99_ms is missing",
        "kernels[0].size is a str",
        "failed[0].why is missing",
        "tests.not_passed is missing",
    ]


def test_the_file_is_replaced_whole(document, tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    for date in ("one", "two"):
        document["date"] = date
        gpu_document.write(path, document)
        assert json.loads(path.read_text()) == document
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


def test_exit_codes(document) -> None:
    asked = ["tests", "engines"]
    assert gpu_document.exit_code(document, asked) == 0
    document["left_out"].append({"what": "video", "why": "av is not installed"})
    assert gpu_document.exit_code(document, asked) == 0
    document["failed"].append({"what": "engines", "why": "it broke"})
    assert gpu_document.exit_code(document, asked) == 1
    document["failed"].clear()
    document["tests"]["counts"]["failed"] = 1
    assert gpu_document.exit_code(document, asked) == 1


def test_no_test_that_passed_is_no_success(document) -> None:
    document["tests"] = None
    assert gpu_document.exit_code(document, ["tests"]) == 1
    assert gpu_document.exit_code(document, ["kernels"]) == 0


def test_marks(document) -> None:
    found = {mark["mark"]: (mark["measured"], mark["reached"]) for mark in marks(document)}
    roof = "at 2048x1024: time of the fastest engine / roofline, at most 2"
    assert found[f"dilanet-m {roof}"] == (1.25, True)
    assert found[f"dilanet-s {roof}"] == (None, None)
    assert found["postprocess at 1920x1080, scene: ms, at most 0.1"] == (0.02, True)
    least = "least share of the copy bandwidth, at least 0.6"
    assert found[f"postprocess scene: {least}"] == (0.5, False)
    assert found[f"blend nv12: {least}"] == (0.7, True)
    assert found[f"blend bgr: {least}"] == (None, None)
    stream = "dilanet-m at 1024x512, resident frames:"
    assert found[f"{stream} frames/s / those of the engine, at least 0.95"] == (0.96, True)
    assert found[f"{stream} p99 / p50 of the latency, at most 1.2"] == (1.15, True)


def test_marks_of_an_empty_document_are_not_measured() -> None:
    found = marks(gpu_document.new({}, {}, None))
    assert len(found) >= 9
    assert all(mark["measured"] is None and mark["reached"] is None for mark in found)


def test_the_long_run_counts() -> None:
    rows = [
        stream_row(2000, fps=1.0), stream_row(20000), stream_row(2000, fps=2.0),
        stream_row(90000, frames="uploaded"), stream_row(5, size=[480, 360]),
    ]  # fmt: skip
    assert longest(rows) == [rows[1], rows[4]]


def test_tables(document) -> None:
    document["tests"]["not_passed"] = [{"test": "a::b", "outcome": "skipped", "why": "no TensorRT"}]
    document["left_out"].append({"what": "video", "why": "av is not installed"})
    text = "\n".join(gpu_document.lines(document))
    assert "rates: matrix 790 TFLOP/s, copy 4200 GB/s\n" in text
    assert "tests: 3 passed, 0 failed, 0 skipped, 0 left out\n  skipped: a::b: no TensorRT" in text
    head, first = text.splitlines()[5:7]
    assert head.split()[:3] == ["model", "size", "engine"]
    assert head.index("p50_ms") == first.index("1  ")
    assert "MISSED       0.5      postprocess scene: least share" in text
    assert "not measured          blend bgr: least share" in text
    assert text.endswith("left out: video: av is not installed")
