"""DDRNet-23-slim: size, two resolutions, bilateral fusion, pyramid pooling."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from rtseg.networks import build  # noqa: E402
from rtseg.networks.counting import count_macs, count_parameters  # noqa: E402
from rtseg.networks.ddrnet import DAPPM, DDRNet23Slim, DualStage  # noqa: E402


@pytest.fixture(scope="module")
def network() -> DDRNet23Slim:
    torch.manual_seed(0)
    return DDRNet23Slim(19).eval()


def test_size(network) -> None:
    # 5.7 M and 36.3 GFLOPs (multiply-accumulates) at 2048x1024: Hong et al. 2021,
    # https://arxiv.org/abs/2101.06085, the comparison on Cityscapes. Cost is nearly proportional
    # to the area: 1/64 of it here.
    assert count_parameters(network) == pytest.approx(5.7e6, rel=0.01)
    assert 64 * count_macs(network, 256, 128) / 1e9 == pytest.approx(36.3, rel=0.01)


def test_resolutions_of_the_branches(network) -> None:
    expected = {
        "stem": (64, 8, 16),
        "stage3.coarse": (128, 4, 8),
        "stage3.fine": (64, 8, 16),
        "stage4.coarse": (256, 2, 4),
        "stage4.fine": (64, 8, 16),
        "coarse5": (512, 1, 2),
        "fine5": (128, 8, 16),
        "context": (128, 1, 2),
    }
    shapes = {}
    hooks = [
        network.get_submodule(name).register_forward_hook(
            lambda _m, _x, y, name=name: shapes.update({name: y.shape[1:]})
        )
        for name in expected
    ]
    logits = network(torch.zeros(1, 3, 64, 128))
    for hook in hooks:
        hook.remove()
    assert shapes == expected
    assert logits.shape == (1, 19, 8, 16)


def test_logits_where_the_branches_round_up(network) -> None:
    assert network(torch.zeros(1, 3, 40, 56)).shape == (1, 19, 5, 7)


@pytest.mark.parametrize(("source", "target"), [(0, 1), (1, 0)])
def test_the_fusion_goes_both_ways(source: int, target: int) -> None:
    torch.manual_seed(0)
    stage = DualStage(8, 8, (16, 32)).eval()
    branches = [torch.rand(1, 8, 4, 4), torch.rand(1, 8, 8, 8)]
    before = stage(*branches)[target]
    branches[source] = branches[source] + 1
    assert before.shape == [(1, 32, 2, 2), (1, 8, 8, 8)][target]
    assert not torch.equal(stage(*branches)[target], before)


def test_each_level_of_the_pyramid_adds_the_finer_ones() -> None:
    """Only the last level's smoothing sees all others; the first sees the point-wise one alone."""
    torch.manual_seed(0)
    pyramid = DAPPM(4, 4, 4).eval()
    kinds = [level[0] for level in pyramid.levels]
    assert [(p.kernel_size, p.stride, p.padding) for p in kinds[:3]] == [
        (5, 2, 2),
        (9, 4, 4),
        (17, 8, 8),
    ]
    inputs = []
    for smooth in pyramid.smooth:
        smooth.register_forward_pre_hook(lambda _m, x: inputs.append(x[0]))
    x = torch.randn(1, 4, 9, 13)
    with torch.no_grad():
        pyramid(x)
        before = inputs[:]
        inputs.clear()
        nn.init.zeros_(pyramid.levels[1][1][1].weight)  # the second level says nothing
        pyramid(x)
    changed = [not torch.equal(a, b) for a, b in zip(before, inputs, strict=True)]
    assert changed == [False, True, True, True]


def test_the_pyramid_sees_the_whole_map() -> None:
    pyramid = DAPPM(4, 4, 4).eval()
    with torch.no_grad():  # positive throughout, so that no ReLU hides a pixel
        for weight in pyramid.parameters():
            weight.abs_()
    x = torch.rand(1, 4, 24, 40, requires_grad=True)
    pyramid(x)[0, :, 0, 0].sum().backward()
    assert (x.grad > 0).all()


def test_registered() -> None:
    assert isinstance(build("ddrnet23slim", 11), DDRNet23Slim)
