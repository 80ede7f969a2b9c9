"""ENet: what the paper's table 1 says of it, and the places of the maxima."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from rtseg.networks.counting import count_parameters  # noqa: E402
from rtseg.networks.enet import Bottleneck, DownBottleneck, ENet, UpBottleneck  # noqa: E402
from rtseg.networks.upsampling import MaxPool, MaxUnpool  # noqa: E402


@pytest.fixture(scope="module")
def network() -> ENet:
    torch.manual_seed(0)
    return ENet(20).eval()


def of_kind(network: nn.Module, kind: type) -> list:
    return [m for m in network.modules() if isinstance(m, kind)]


def silence(branch: nn.Sequential) -> None:
    """Let a residual branch add nothing."""
    nn.init.zeros_(branch[2][1].weight)


# 0.37 M: the table of hardware requirements in https://arxiv.org/abs/1606.02147; that much it is
# with the encoder's 1x1 classifier. 364,376 without it: added up from the layers in
# https://github.com/e-lab/ENet-training, train/models, for 20 classes; there are a few biases more.
def test_parameters(network) -> None:
    classifier = 128 * 20 + 20
    assert round((count_parameters(network) + classifier) / 1e6, 2) == 0.37
    assert count_parameters(network) == pytest.approx(364_376, rel=0.001)


def test_context_stages_are_those_of_table_1(network) -> None:
    for stage in (network.stage2, network.stage3):
        convs = [of_kind(block, nn.Conv2d)[1:-1] for block in stage]
        dilations = [conv[0].dilation[0] for conv in convs]
        assert dilations == [1, 2, 1, 4, 1, 8, 1, 16]
        kernels = [[conv.kernel_size for conv in middle] for middle in convs]
        asymmetric, square = [(5, 1), (1, 5)], [(3, 3)]
        assert kernels == 2 * [square, square, asymmetric, square]


def test_dropout_rises_after_the_first_stage(network) -> None:
    rates = [m.p for m in of_kind(network, nn.Dropout2d)]
    assert rates == 5 * [0.01] + (1 + 8 + 8 + 3 + 2) * [0.1]


def test_prelu_in_the_encoder_relu_in_the_decoder(network) -> None:
    for name, child in network.named_children():
        decoder = name in ("up4", "stage4", "up5", "stage5", "score")
        assert not of_kind(child, nn.PReLU if decoder else nn.ReLU)
        assert decoder or of_kind(child, nn.PReLU)


def test_each_unpooling_gets_the_places_of_its_size(network) -> None:
    seen: dict[nn.Module, torch.Tensor] = {}

    def keep(module, inputs, out) -> None:
        seen[module] = out[1] if isinstance(module, MaxPool) else inputs[1]

    modules = of_kind(network, MaxPool) + of_kind(network, MaxUnpool)
    hooks = [module.register_forward_hook(keep) for module in modules]
    with torch.no_grad():
        logits = network(torch.randn(1, 3, 24, 40))
    for hook in hooks:
        hook.remove()
    assert logits.shape == (1, 20, 24, 40)
    assert seen[network.up4.unpool] is seen[network.down2.pool]
    assert seen[network.up5.unpool] is seen[network.down1.pool]


def test_values_go_back_to_where_the_maxima_were() -> None:
    down, up = DownBottleneck(4, 8, dropout=0.0).eval(), UpBottleneck(8, 4).eval()
    silence(up.branch)
    nn.init.ones_(up.shortcut[0].weight)
    x = torch.rand(1, 4, 6, 8)
    _, where = down(x)
    y = up(torch.ones(1, 8, 3, 4), where)
    pooled, places = nn.functional.max_pool2d(x, 2, return_indices=True)
    expected = nn.functional.max_unpool2d(torch.ones_like(pooled), places, 2)
    assert torch.equal(y > 0, expected > 0)


def test_the_short_cut_of_a_downsampling_is_padded_with_zeros() -> None:
    down = DownBottleneck(4, 12, dropout=0.0).eval()
    silence(down.branch)
    x = torch.rand(2, 4, 6, 8)
    y, _ = down(x)
    torch.testing.assert_close(y[:, :4], nn.functional.max_pool2d(x, 2))
    assert y.shape == (2, 12, 3, 4)
    assert not y[:, 4:].any()


def test_a_bottleneck_adds_to_its_input() -> None:
    block = Bottleneck(8, nn.Identity(), dropout=0.0).eval()
    silence(block.branch)
    x = torch.randn(1, 8, 3, 4)
    torch.testing.assert_close(block(x), nn.functional.leaky_relu(x, 0.25))  # PReLU's start


def test_the_initial_block_keeps_the_pooled_image_beside_13_filters(network) -> None:
    x = torch.rand(1, 3, 8, 8)
    assert network.initial.conv[0].out_channels == 13
    with torch.no_grad():
        y = network.initial(x)
    pooled = nn.functional.max_pool2d(x, 2)  # positive: PReLU lets it through
    torch.testing.assert_close(y[:, 13:], pooled, rtol=1e-4, atol=1e-4)  # eps of batch norm
