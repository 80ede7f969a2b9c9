"""What every network keeps, tested over all of them."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import load_file  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from rtseg.backends.onnx_module import module_of  # noqa: E402
from rtseg.backends.operators import check_operators  # noqa: E402
from rtseg.classes import CAMVID  # noqa: E402
from rtseg.errors import InputError, ModelError  # noqa: E402
from rtseg.model import Model  # noqa: E402
from rtseg.networks import NETWORKS, NetworkEntry, build  # noqa: E402
from rtseg.networks.layers import BasicBlock, DilatedBottleneck  # noqa: E402
from rtseg.training.export import deployable, export  # noqa: E402
from rtseg.training.weights import load_weights, pack_weights  # noqa: E402

CLASSES = 11


@dataclass
class Case:
    """A network in eval mode whose batch norms have seen data, and its weights on disk."""

    entry: NetworkEntry
    network: nn.Module
    weights: Path

    def size(self, width: int, height: int) -> tuple[int, int]:
        return self.entry.sizes.nearest(width, height)

    @property
    def small(self) -> tuple[int, int]:
        """A small (width, height), its sides apart."""
        width, height = self.size(96, 64)
        return (width, height) if width != height else (width + self.entry.sizes.stride, height)


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda row: row.name)
def case(request, tmp_path_factory) -> Case:
    torch.manual_seed(0)
    entry: NetworkEntry = request.param
    network = build(entry.name, CLASSES)
    open_residuals(network)
    calibrate(network, entry.sizes.nearest(128, 96))
    weights = tmp_path_factory.mktemp(entry.name) / "weights.safetensors"
    weights.write_bytes(pack_weights(network.state_dict(), entry.name, CAMVID))
    yield Case(entry, network, weights)
    weights.unlink()  # up to half a gigabyte


@pytest.fixture(scope="module")
def deployed(case: Case) -> Path:
    if case.entry.undeployable:
        pytest.skip(f"not deployable: {case.entry.undeployable}")
    path = case.weights.with_suffix(".onnx")
    export(case.weights, path, trained_size=case.size(128, 96))
    yield path
    path.unlink()


def open_residuals(network: nn.Module) -> None:
    """Branches that start at zero, as after some training."""
    for module in network.modules():
        if isinstance(module, DilatedBottleneck | BasicBlock):
            branch = module.expand if isinstance(module, DilatedBottleneck) else module.second
            nn.init.ones_(branch[1].weight)


def calibrate(network: nn.Module, size: tuple[int, int]) -> None:
    """Batch norm statistics of random images, so that activations are as large as in use."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(images(4, size))
    network.eval()


def images(count: int, size: tuple[int, int], seed: int = 1) -> Tensor:
    """(count, 3, H, W): noise at several scales, which has edges and areas as images have."""
    rng = torch.Generator().manual_seed(seed)
    width, height = size
    layers = [
        torch.randn(count, 3, max(2, height // cell), max(2, width // cell), generator=rng)
        for cell in (1, 4, 16)
    ]
    return sum(nn.functional.interpolate(x, (height, width)) for x in layers) / math.sqrt(3)


def run(network: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return network(x)


def test_logits_have_the_classes_and_the_output_stride(case: Case) -> None:
    width, height = case.small
    logits = run(case.network, images(2, (width, height)))
    assert logits.dtype == torch.float32
    assert logits.shape[:2] == (2, CLASSES)
    if not case.entry.undeployable:
        stride = case.network.output_stride
        assert logits.shape[2:] == (height // stride, width // stride)


def test_another_number_of_classes(case: Case) -> None:
    width, height = case.small
    with torch.device("meta"):  # shapes alone
        network = build(case.entry.name, 3).eval()
        assert run(network, torch.zeros(1, 3, height, width)).shape[1] == 3


def test_gradients_reach_every_parameter(case: Case) -> None:
    # float64: torch's float32 backward of a wide dilated convolution takes a minute on the CPU.
    network = copy.deepcopy(case.network).train().double()
    for module in network.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0
    network(images(2, case.size(128, 96)).double()).square().mean().backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


def test_eval_is_deterministic_and_independent_of_the_batch(case: Case) -> None:
    batch = images(2, case.small)
    together = run(case.network, batch)
    assert torch.equal(together, run(case.network, batch))
    alone = run(case.network, batch[1:])
    scale = float(together.abs().max())
    torch.testing.assert_close(together[1:], alone, rtol=1e-3, atol=1e-4 * scale)


def test_the_smallest_size_works(case: Case) -> None:
    size = case.size(1, 1)
    assert torch.isfinite(run(case.network, images(1, size))).all()


@pytest.mark.parametrize("size", [(1, 1), (37, 61), (101, 64)])
def test_an_odd_size_works_or_is_refused_with_the_nearest(case: Case, size) -> None:
    near = case.size(*size)
    if near == size:
        assert torch.isfinite(run(case.network, images(1, size))).all()
        return
    with pytest.raises(InputError, match=f"{near[0]}x{near[1]}"):
        case.network(torch.zeros(1, 3, size[1], size[0]))
    assert torch.isfinite(run(case.network, images(1, near))).all()


def test_weights_come_back_strictly(case: Case, tmp_path) -> None:
    again, name, _ = load_weights(case.weights)
    assert name == case.entry.name
    x = images(1, case.small)
    assert torch.equal(run(again, x), run(case.network, x))
    tensors = load_file(case.weights)
    tensors.pop(min(tensors))
    path = tmp_path / "incomplete.safetensors"
    path.write_bytes(pack_weights(tensors, name, CAMVID))
    with pytest.raises(ModelError, match="does not fit"):
        load_weights(path)
    path.unlink()


@pytest.mark.parametrize("row", [r for r in NETWORKS if r.undeployable], ids=lambda row: row.name)
def test_what_cannot_be_deployed_says_why(row: NetworkEntry, tmp_path) -> None:
    weights = tmp_path / "weights.safetensors"
    tensors = build(row.name, CLASSES).state_dict()
    weights.write_bytes(pack_weights(tensors, row.name, CAMVID))
    with pytest.raises(ModelError, match="cannot be deployed"):
        export(weights, tmp_path / "x.onnx")
    weights.unlink()


def test_the_model_file_is_valid_and_tensorrt_takes_every_operator(deployed: Path) -> None:
    Model.load(deployed)  # contract against graph, strides, types, digest
    graph = onnx.load(deployed)
    assert check_operators(graph) == []
    kinds = {t.data_type for t in graph.graph.initializer if len(t.dims) == 4}
    assert kinds == {onnx.TensorProto.FLOAT16}


def test_the_model_file_agrees_with_torch_at_another_size(case: Case, deployed: Path) -> None:
    """OpenVINO in f32 against torch in FP32 with the same folded weights, rounded to FP16.

    The largest difference is below a thousandth of the logits' range. (With random weights, what
    rounding them does grows from block to block; of trained ones, test_export.py measures it.)
    """
    x = images(1, case.size(160, 128), seed=7).half()
    rounded = deployable(copy.deepcopy(case.network)).network.float()
    expected = run(rounded, x.float()).numpy()
    difference = np.abs(openvino(deployed, x.numpy()) - expected)
    assert difference.max() < 1e-3 * np.ptp(expected)


def test_the_model_file_runs_in_torch(case: Case, deployed: Path) -> None:
    """The torch engine's module of the file, in f32, against OpenVINO."""
    size = case.size(160, 128)
    x = images(1, size, seed=7).half()
    expected = openvino(deployed, x.numpy())
    logits = run(module_of(Model.load(deployed), size, torch.float32), x).numpy()
    assert np.abs(logits - expected).max() < 1e-3 * np.ptp(expected)


def openvino(path: Path, image: np.ndarray) -> np.ndarray:
    """Logits of a model file in f32, as `rtseg.backends.openvino` compiles it."""
    import openvino as ov

    core = ov.Core()
    graph = core.read_model(path)
    graph.reshape(list(image.shape))
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return np.array(core.compile_model(graph, "CPU", hints)(image)[0])
