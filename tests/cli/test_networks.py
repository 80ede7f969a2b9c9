"""`rtseg networks` and `rtseg export --check`."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from rtseg.model import Model

torch = pytest.importorskip("torch")

from rtseg.networks import NETWORKS, build  # noqa: E402
from rtseg.networks.counting import count_macs, count_parameters  # noqa: E402


def test_the_table_has_every_network_asked_for(rtseg) -> None:
    done = rtseg("networks", "dilanet-s", "fastscnn", "unet-valid")
    assert done.code == 0, done.err
    table, _ = done.out.split("\n\n")
    rows = {line.split()[0]: line for line in table.splitlines()}
    assert "0.16 M" in rows["dilanet-s"]
    assert "480x360" in rows["fastscnn"]
    assert "all" in rows["fastscnn"]  # it pools globally
    assert [rows[name].split()[-1] for name in ("fastscnn", "unet-valid")] == ["yes", "no"]
    assert "unet-valid cannot be deployed: " in done.out


def test_json_has_what_counting_gives(rtseg) -> None:
    done = rtseg("networks", "dilanet-m", "--size", "500x300", "--classes", 19, "--json")
    (row,) = json.loads(done.out)
    network = build("dilanet-m", 19)
    assert row["size"] == [496, 304]
    assert row["parameters"] == count_parameters(network)
    assert row["gmacs"] == pytest.approx(count_macs(network, 496, 304) / 1e9, abs=1e-4)
    assert row["output_stride"] == 4
    assert row["receptive_field"] == 855
    assert row["undeployable"] is None
    assert "median_ms" not in row


def test_bench_times_each_against_the_reference(rtseg) -> None:
    done = rtseg("networks", "dilanet-s", "--bench", "--rounds", 2, "--size", "96x64", "--json")
    assert done.code == 0, done.err
    (row,) = json.loads(done.out)
    assert row["median_ms"] >= row["min_ms"] > 0
    assert row["ratio"] > 0


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("resnet",), "unknown network"),
        (("--size", "big"), "expected WIDTHxHEIGHT"),
        (("dilanet-s", "--precision", "fp8"), "expected auto, f16, f32 or bf16"),
    ],
)
def test_bad_values(rtseg, args, says) -> None:
    done = rtseg("networks", *args)
    assert done.code == 2
    assert says in done.err


def test_every_network_has_a_name_of_its_own() -> None:
    names = [row.name for row in NETWORKS]
    assert len(set(names)) == len(names)


def test_check_passes_a_shipped_model(rtseg) -> None:
    model = Model.load("dilanet-s")
    for path in (model.path, model.path.with_suffix(".safetensors")):
        done = rtseg("export", path, "--check")
        assert done.code == 0, done.err
        assert "takes every operator" in done.out
        assert "Resize" in done.out


def test_check_names_what_tensorrt_refuses(rtseg, tmp_path) -> None:
    graph = helper.make_graph(
        [helper.make_node("MaxUnpool", ["x", "i"], ["y"], name="up", kernel_shape=[2, 2])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT16, [1, 4, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT16, None)],
        [onnx.numpy_helper.from_array(np.zeros((1, 4, 8, 8), np.int64), "i")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), "unpool.onnx")
    done = rtseg("export", "unpool.onnx", "--check")
    assert done.code == 1
    assert "MaxUnpool up: no such layer" in done.out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["unpool.onnx"]


@pytest.mark.parametrize("name", ["none.onnx", "text.onnx", "none.safetensors"])
def test_check_of_something_else(rtseg, tmp_path, name) -> None:
    (tmp_path / "text.onnx").write_text("not a graph")
    done = rtseg("export", name, "--check")
    assert done.code == 2
    assert name in done.err
    assert len(done.err.splitlines()) == 1
