"""FC-DenseNet: what is handed on, down and up."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from rtseg.networks.counting import count_parameters  # noqa: E402
from rtseg.networks.fcdensenet import (  # noqa: E402
    FC56,
    FC67,
    FC103,
    DenseBlock,
    FCDenseNet,
    FCDenseNetConfig,
)
from rtseg.networks.upsampling import Transposed  # noqa: E402

TINY = FCDenseNetConfig(growth=4, down=(1, 2, 1, 1, 1), bottom=2)


def on_meta(config: FCDenseNetConfig) -> FCDenseNet:
    """A network of shapes only, 11 classes."""
    with torch.device("meta"):
        return FCDenseNet(11, config)


def all_values(network: nn.Module) -> int:
    """Parameters and the running statistics of batch norms."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    return count_parameters(network) + sum(2 * m.num_features for m in norms)


@pytest.mark.parametrize(("config", "published"), [(FC67, 3.5e6), (FC103, 9.4e6)])
def test_parameters_as_published(config, published) -> None:
    """Table 3 of https://arxiv.org/abs/1611.09326; the authors' code counts the statistics too
    (get_all_param_values in https://github.com/SimJeg/FC-DenseNet)."""
    assert all_values(on_meta(config)) == pytest.approx(published, rel=0.01)


def test_parameters_of_the_56_layers() -> None:
    """1.4 million: https://github.com/SimJeg/FC-DenseNet/issues/31. The paper's table says 1.5,
    which its configuration does not give."""
    assert all_values(on_meta(FC56)) == pytest.approx(1.4e6, rel=0.01)


@pytest.mark.parametrize(("config", "layers"), [(FC56, 56), (FC67, 67), (FC103, 103)])
def test_as_many_layers_as_the_name_says(config, layers) -> None:
    convs = [m for m in on_meta(config).modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(convs) == layers


def test_features_in_each_block_as_published() -> None:
    """Channels seen after each block, table 2 with the authors' erratum
    (https://github.com/SimJeg/FC-DenseNet, "About the m number")."""
    network = on_meta(FC103)
    blocks = (*network.down, network.bottom, *network.up)
    seen = [b.layers[-1][1].in_channels + FC103.growth for b in blocks]
    assert seen == [112, 192, 304, 464, 656, 896, 1088, 816, 578 - 2, 384, 256]
    assert network.score.in_channels == 256


def test_only_new_features_are_upsampled() -> None:
    grow = on_meta(FC103).grow
    assert all(isinstance(up, Transposed) and up.kernel_size == (3, 3) for up in grow)
    assert [up.in_channels for up in grow] == [16 * n for n in (15, 12, 10, 7, 5)]
    assert [up.out_channels for up in grow] == [up.in_channels for up in grow]


@pytest.mark.parametrize("keep", [True, False])
def test_a_dense_block_on_the_way_up_hands_on_new_features_only(keep) -> None:
    torch.manual_seed(0)
    block = DenseBlock(4, 6, 3, keep=keep).eval()
    x = torch.randn(1, 6, 4, 4)
    y = block(x)
    assert y.shape[1] == 12 + 6 * keep
    assert torch.equal(y[:, :6], x) == keep
    new = y[:, -12:]
    for index, layer in enumerate(block.layers):  # each sees the input and all before it
        seen = torch.cat((x, new[:, : 4 * index]), 1)
        torch.testing.assert_close(layer(seen), new[:, 4 * index : 4 * index + 4])


def test_a_layer_is_norm_relu_convolution_dropout() -> None:
    layer = [m for m in DenseBlock(4, 6, 1).layers[0].modules() if not list(m.children())]
    assert [type(m) for m in layer] == [nn.BatchNorm2d, nn.ReLU, nn.Conv2d, nn.Dropout]
    assert layer[-1].p == 0.2


def test_output_shape_and_size_of_the_first_logits() -> None:
    torch.manual_seed(0)
    network = FCDenseNet(5, TINY)
    logits = network(torch.randn(2, 3, 32, 64))
    assert logits.shape == (2, 5, 32, 64)
    assert 0.1 < logits.std() < 5  # scaled by the inputs, so that the loss starts small
