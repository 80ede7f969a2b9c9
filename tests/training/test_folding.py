"""Batch norm leaves the network, and the function stays."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from rtseg.networks import build  # noqa: E402
from rtseg.networks.layers import ConvNormAct, NormAct  # noqa: E402
from rtseg.networks.upsampling import Transposed  # noqa: E402
from rtseg.training.folding import ChannelAffine, fold_batch_norm  # noqa: E402


def trained(network: nn.Module) -> nn.Module:
    """Statistics and gains as after training."""
    torch.manual_seed(0)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_()
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    return network.eval()


@pytest.mark.parametrize(
    "network",
    [
        ConvNormAct(3, 8, dilation=2),
        ConvNormAct(3, 8, padding_mode="reflect"),
        ConvNormAct(3, 8, (3, 1), act="prelu"),
        nn.Sequential(Transposed(3, 8, 4, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        nn.Sequential(Transposed(3, 8, 3, uneven=True), nn.BatchNorm2d(8)),
        nn.Sequential(NormAct(3), nn.Conv2d(3, 4, 3)),
        nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)),
        nn.ModuleDict({"norm": nn.BatchNorm2d(3)})["norm"],
    ],
    ids=lambda network: type(network).__name__,
)
def test_the_function_stays_and_the_norm_goes(network: nn.Module) -> None:
    holder = trained(nn.Sequential(network)).double()
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        before = holder(x)
        fold_batch_norm(holder)
        after = holder(x)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in holder.modules())
    torch.testing.assert_close(after, before)


def test_only_pre_activations_stay_as_affines() -> None:
    folded = trained(nn.Sequential(ConvNormAct(3, 8), NormAct(8)))
    fold_batch_norm(folded)
    assert sum(isinstance(m, ChannelAffine) for m in folded.modules()) == 1


def test_a_whole_network() -> None:
    network = trained(build("dilanet-s", 11))
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = network(image)
        fold_batch_norm(network)
        after = network(image)
    assert not any(isinstance(m, nn.BatchNorm2d | ChannelAffine) for m in network.modules())
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)


def test_an_affine_survives_half_precision_where_the_variance_would_not() -> None:
    norm = nn.BatchNorm2d(2).eval()
    norm.running_mean.fill_(300.0)
    norm.running_var.fill_(1e5)  # above the largest float16
    x = torch.tensor([100.0, 600.0]).view(1, 2, 1, 1)
    half = ChannelAffine(norm).half()(x.half())
    torch.testing.assert_close(half.float(), norm(x), rtol=1e-2, atol=1e-2)
