"""U-Net: unpadded as in the paper's figure 1, or padded by reflection."""

from __future__ import annotations

from itertools import pairwise

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from rtseg.errors import InputError  # noqa: E402
from rtseg.networks.counting import count_parameters  # noqa: E402
from rtseg.networks.unet import UNet  # noqa: E402


@pytest.fixture(scope="module")
def unet() -> UNet:
    torch.manual_seed(0)
    return UNet(3).eval()


def on_meta(classes: int = 2, **options) -> UNet:
    """A network of shapes only."""
    with torch.device("meta"):
        return UNet(classes, **options)


def published_parameters(image: int, classes: int) -> int:
    """Weights and biases of figure 1 of the paper."""
    widths = [64, 128, 256, 512, 1024]

    def double(before: int, after: int) -> int:
        return 9 * before * after + after + 9 * after * after + after

    down = sum(double(a, b) for a, b in pairwise([image, *widths]))
    up = sum(4 * 2 * w * w + w + double(2 * w, w) for w in widths[:-1])
    return down + up + widths[0] * classes + classes


def test_parameters_as_published() -> None:
    """31.0 million. From RGB; a batch norm's scale more, an up-convolution's bias less."""
    published = published_parameters(1, 2)
    assert published == 31_030_658
    assert count_parameters(on_meta(2)) == pytest.approx(published, rel=0.01)


def test_sizes_of_figure_1() -> None:
    network = on_meta(2, padding="valid")
    shapes: list[int] = []
    for block in (*network.down, network.bottom, *network.up, *network.merge):
        block.register_forward_hook(lambda _m, _x, y: shapes.append(y.shape[-1]))
    logits = network(torch.zeros(1, 3, 572, 572, device="meta"))
    assert logits.shape == (1, 2, 388, 388)
    assert shapes == [568, 280, 136, 64, 28, 56, 52, 104, 100, 200, 196, 392, 388]


def test_the_margin_is_what_the_logits_leave_out() -> None:
    network = on_meta(2, padding="valid")
    logits = network(torch.zeros(1, 3, 188, 204, device="meta"))
    assert logits.shape[2:] == (188 - 2 * network.margin, 204 - 2 * network.margin)
    assert on_meta(2).margin == 0


def test_valid_logits_are_those_of_the_image_s_middle(unet) -> None:
    """Both paddings compute the same where none shows. The pools' cells coincide from pixel 2 on:
    two convolutions take 2, 4, 8 and 16 pixels off before the four pools, and 30 + 2 = 2 · 16."""
    valid = UNet(3, padding="valid").eval()
    valid.load_state_dict(unet.state_dict())
    image = torch.randn(1, 3, 192, 192)
    with torch.no_grad():
        whole = unet(image)
        middle = valid(image[..., 2:190, 2:190])
    assert middle.shape == (1, 3, 4, 4)
    margin = 2 + valid.margin
    inside = whole[..., margin:-margin, margin:-margin]
    torch.testing.assert_close(middle, inside, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(180, 188), (172, 188), (188, 192)])
def test_sizes_that_do_not_halve_evenly_are_refused(size) -> None:
    with pytest.raises(InputError, match="multiples of 16 plus 12 and at least 188"):
        on_meta(padding="valid")(torch.zeros(1, 3, *size, device="meta"))


def test_the_image_is_padded_by_reflection() -> None:
    modes = [m.padding_mode for m in on_meta().modules() if isinstance(m, nn.Conv2d)]
    assert modes == ["reflect"] * 18 + ["zeros"]  # the last one is 1x1
    padding = [m.padding for m in on_meta(padding="valid").modules() if isinstance(m, nn.Conv2d)]
    assert padding == [(0, 0)] * 19


@pytest.mark.parametrize("kind", ["nearest", "bilinear", "nails"])
def test_other_upsampling(kind) -> None:
    network = on_meta(2, upsampling=kind)
    assert network(torch.zeros(1, 3, 32, 48, device="meta")).shape == (1, 2, 32, 48)
    assert not any(isinstance(m, nn.ConvTranspose2d) for m in network.modules())


def test_unpooling_has_no_positions() -> None:
    with pytest.raises(ValueError, match="unpool"):
        on_meta(upsampling="unpool")
