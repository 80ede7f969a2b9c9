"""SegNet: the decoder puts values back where the encoder's maxima were."""

from __future__ import annotations

from typing import get_args

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from rtseg.networks.counting import count_parameters  # noqa: E402
from rtseg.networks.segnet import SegNet  # noqa: E402
from rtseg.networks.upsampling import Kind, MaxUnpool, upsampling  # noqa: E402


@pytest.fixture(scope="module")
def network() -> SegNet:
    torch.manual_seed(0)
    return SegNet(11).eval()


def test_parameters_as_published(network) -> None:
    """29.5 million: table 3 of Jégou et al. 2016, https://arxiv.org/abs/1611.09326, "SegNet"."""
    assert count_parameters(network) == pytest.approx(29.5e6, rel=0.01)


def test_the_decoder_mirrors_the_encoder(network) -> None:
    """The 13 convolutions of VGG-16 and back, the last of which is the score."""

    def widths(part: nn.Module) -> list[tuple[int, int]]:
        convs = [m for m in part.modules() if isinstance(m, nn.Conv2d)]
        assert all(m.kernel_size == (3, 3) for m in convs)
        return [(m.in_channels, m.out_channels) for m in convs]

    there, back = widths(network.encoder), [*widths(network.decoder), *widths(network.score)]
    assert len(there) == 13
    mirrored = [(after, before) for before, after in reversed(there)]
    assert back[:-1] == mirrored[:-1]
    assert back[-1] == (64, 11)


def test_values_come_back_where_the_maxima_were(network) -> None:
    """Each unpooled map has one value in each 2x2 cell, where the pool of its size found it."""
    pooled, unpooled = [], []
    handles = [network.pool.register_forward_hook(lambda _m, x, y: pooled.append((x[0], *y)))]
    handles += [
        up.register_forward_hook(lambda _m, x, y: unpooled.append((x[0], y))) for up in network.up
    ]
    with torch.no_grad():
        logits = network(torch.randn(1, 3, 32, 64))
    for handle in handles:
        handle.remove()
    assert logits.shape == (1, 11, 32, 64)
    for (full, top, _), (small, large) in zip(reversed(pooled), unpooled, strict=True):
        at_maximum = full == nn.functional.interpolate(top, scale_factor=2.0, mode="nearest")
        assert not large[~at_maximum].any()
        cells = nn.functional.avg_pool2d(large, 2) * 4
        torch.testing.assert_close(cells, small)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_any_upsampling_takes_the_place_of_the_unpooling(kind) -> None:
    with torch.device("meta"):
        network = SegNet(4, upsampling=kind)
        logits = network(torch.zeros(1, 3, 32, 64))
    assert logits.shape == (1, 4, 32, 64)
    assert all(type(up) is type(upsampling(kind, 4)) for up in network.up)
    assert isinstance(network.up[0], MaxUnpool) == (kind == "unpool")
