"""DABNet: parameters, the two branches, the image at each stage."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from rtseg.networks.counting import count_parameters  # noqa: E402
from rtseg.networks.dabnet import DABModule, DABNet  # noqa: E402


@pytest.fixture(scope="module")
def network() -> DABNet:
    torch.manual_seed(0)
    return DABNet(19).eval()


def convolutions(network: nn.Module) -> list:
    return [m for m in network.modules() if isinstance(m, nn.Conv2d)]


# 0.76 M: https://arxiv.org/abs/1907.11357, abstract. 756,643: the count of
# https://github.com/osmr/imgclsmob, pytorchcv, dabnet_cityscapes, for the 19 classes.
def test_parameters(network) -> None:
    assert count_parameters(network) == 756_643


def test_logits_are_at_an_eighth(network) -> None:
    with torch.no_grad():
        assert network(torch.randn(1, 3, 24, 40)).shape == (1, 19, 3, 5)


@pytest.mark.parametrize(
    ("block", "rates"), [("block4", [2] * 3), ("block8", [4, 4, 8, 8, 16, 16])]
)
def test_dilations_as_published(network, block, rates) -> None:
    modules = list(getattr(network, block))
    assert [module.around[0][0].dilation for module in modules] == [(rate, 1) for rate in rates]
    assert [module.around[1][0].dilation for module in modules] == [(1, rate) for rate in rates]
    assert all(conv.dilation == (1, 1) for m in modules for conv in convolutions(m.near))


def test_both_branches_are_depthwise_and_asymmetric() -> None:
    module = DABModule(16, 4)
    for branch in (module.near, module.around):
        assert [conv.kernel_size for conv in convolutions(branch)] == [(3, 1), (1, 3)]
        assert all(conv.groups == conv.in_channels == 8 for conv in convolutions(branch))


def test_one_branch_looks_near_and_the_other_around() -> None:
    module = DABModule(2, 4).eval()
    for branch, distance in ((module.near, 1), (module.around, 4)):
        for conv in convolutions(branch):
            nn.init.ones_(conv.weight)
        image = torch.ones(1, 1, 11, 11, requires_grad=True)
        branch(image)[0, 0, 5, 5].backward()
        rows, columns = (image.grad[0, 0] > 0).nonzero().T.tolist()
        cells = [5 - distance, 5, 5 + distance]
        assert sorted(set(rows)) == sorted(set(columns)) == cells
        assert len(rows) == 9


def test_the_input_passes_by_without_an_activation() -> None:
    module = DABModule(8, 2).eval()
    nn.init.zeros_(module.expand[1].weight)
    x = torch.randn(1, 8, 5, 6)
    assert torch.equal(module(x), x)


def test_the_image_is_joined_at_each_stage(network) -> None:
    inputs: list[torch.Tensor] = []
    joins = (network.joined2, network.joined4, network.joined8)
    hooks = [
        join.register_forward_pre_hook(lambda _, args: inputs.append(args[0])) for join in joins
    ]
    image = torch.randn(1, 3, 16, 24)
    with torch.no_grad():
        network(image)
    for hook in hooks:
        hook.remove()
    assert [x.shape[1] for x in inputs] == [35, 131, 259]
    for x in inputs:
        image = nn.functional.avg_pool2d(image, 3, 2, 1)
        torch.testing.assert_close(x[:, -3:], image)
