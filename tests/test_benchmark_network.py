"""The network's roofline: counted bytes by precision, rates, and what cannot be told."""

from __future__ import annotations

import onnx
import pytest

from rtseg.benchmark import host_rates, nvidia
from rtseg.benchmark.network import network
from rtseg.benchmark.roofline import count_layers
from rtseg.errors import EngineError
from rtseg.model import Model
from rtseg.segmenter import Segmenter


def test_numbers_take_twice_the_bytes_in_f32() -> None:
    graph = onnx.load_model_from_string(Model.load("dilanet-s").data)
    half, full = (count_layers(graph, (64, 48), float_bytes=n) for n in (2, 4))
    assert [layer.flops for layer in half] == [layer.flops for layer in full]
    assert all(a.weights * 2 == b.weights for a, b in zip(half, full, strict=True))
    assert full[0].inputs == 4 * 3 * 64 * 48
    assert half[-1].outputs == full[-1].outputs  # logits are FP32 in any case


def test_flops_are_two_for_each_mac_of_the_contract() -> None:
    with Segmenter("dilanet-s", size=(480, 360), precision="f32") as segmenter:
        segmenter.engine(480, 360)
        found = network(segmenter, 2.0)
        assert found["gflops"] == pytest.approx(2 * segmenter.model.contract.gmacs, rel=1e-3)
    assert found["share_of_roofline"] == pytest.approx(found["bound_ms"] / 2.0, abs=1e-4)
    least = 1e3 * found["gflops"] / found["matrix_gflops_s"]
    assert found["bound_ms"] >= 0.999 * least
    assert 0 <= found["bound_by_memory"] <= 1


def test_a_graph_that_cannot_be_counted_is_said(monkeypatch) -> None:
    def refused(*_args, **_options):
        raise ValueError("the shape of x does not follow from the image's size: None")

    monkeypatch.setattr("rtseg.benchmark.network.count_layers", refused)
    with Segmenter("dilanet-s", size=(64, 48), precision="f32") as segmenter:
        segmenter.engine(64, 48)
        assert "the shape of x" in network(segmenter, 2.0)["left_out"]


def test_rates_are_those_of_a_computer() -> None:
    assert 1e8 < host_rates.matrix_rate("f32", order=256) < 1e14
    assert 1e8 < host_rates.copy_rate(8) < 1e13


def test_a_precision_that_the_processor_does_not_know_is_refused() -> None:
    with pytest.raises(EngineError):
        host_rates.matrix_rate("f7", order=16)


def test_no_gpu_has_no_states(monkeypatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(nvidia, "import_module", absent)
    assert nvidia.states() == []
