"""DilaNet: size, what it is made of, what it sees. What all networks keep is in contract.py."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from rtseg.errors import RecipeError  # noqa: E402
from rtseg.networks import build  # noqa: E402
from rtseg.networks.counting import count_macs, count_parameters  # noqa: E402

NAMES = ["dilanet-s", "dilanet-m"]


@pytest.fixture(params=NAMES)
def network(request) -> nn.Module:
    torch.manual_seed(0)
    return build(request.param, 11)


def test_built_for_engines(network) -> None:
    """Channels in multiples of 16 except at both ends, no depthwise convolution, plain ReLU."""
    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    for conv in convs:
        assert conv.groups == 1
        assert conv.in_channels % 16 == 0 or conv.in_channels == 3
        assert conv.out_channels % 16 == 0 or conv.out_channels == 11
    allowed = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU)
    leaves = [m for m in network.modules() if not list(m.children())]
    assert all(isinstance(m, allowed) for m in leaves)


def test_the_receptive_field_has_no_grid(network) -> None:
    """With positive weights, every input pixel around the centre influences the centre's logit."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    image = torch.ones(1, 3, 256, 256, requires_grad=True)
    network.eval()(image)[0, :, 32, 32].sum().backward()
    assert (image.grad[0, :, 64:192, 64:192] > 0).all()


# Parameters and GMACs at 480x360 as designed; a change of the architecture must change these.
@pytest.mark.parametrize(
    ("name", "parameters", "gmacs"), [("dilanet-s", 158_651, 0.562), ("dilanet-m", 581_531, 1.988)]
)
def test_size(name, parameters, gmacs) -> None:
    network = build(name, 11)
    assert count_parameters(network) == parameters
    assert count_macs(network, 480, 360) / 1e9 == pytest.approx(gmacs, abs=0.001)


def test_unknown_network() -> None:
    with pytest.raises(RecipeError, match="dilanet-m"):
        build("resnet", 11)
