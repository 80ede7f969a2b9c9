"""DeepLabv3+: encoder, strides against dilations, pyramid, decoder."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from rtseg.networks import build  # noqa: E402
from rtseg.networks.counting import count_parameters  # noqa: E402
from rtseg.networks.deeplab import AtrousPyramid, DeepLab  # noqa: E402
from rtseg.networks.separable import InvertedResidual  # noqa: E402


@pytest.fixture(scope="module")
def network() -> DeepLab:
    torch.manual_seed(0)
    return DeepLab(19).eval()


def test_parameters(network) -> None:
    # MobileNetV2 has 3,504,872 (https://pytorch.org/vision/stable/models/generated/
    # torchvision.models.mobilenet_v2.html; Sandler et al. 2018, table 4: 3.4 M). Without the 1x1
    # to 1280 channels, its batch norm and the classifier of 1000 classes that is the encoder.
    encoder = 3_504_872 - (320 * 1280 + 2 * 1280) - (1280 * 1000 + 1000)
    assert count_parameters(network.early) + count_parameters(network.deep) == encoder
    assert count_parameters(network) == 2_719_299


def depthwise(network: DeepLab) -> list[nn.Conv2d]:
    """The depthwise convolutions of the encoder, in their order."""
    blocks = [m for m in network.modules() if isinstance(m, InvertedResidual)]
    return [b.branch[-1][0][0] for b in blocks]


@pytest.mark.parametrize(
    ("stride", "strides", "dilations", "rates"),
    [
        # Blocks of the stages of 16, 24, 32, 64, 96, 160 and 320 channels.
        (16, "1 21 211 2111 111 111 1", "1 11 111 1111 111 122 2", [6, 12, 18]),
        (8, "1 21 211 1111 111 111 1", "1 11 111 1222 222 244 4", [12, 24, 36]),
    ],
)
def test_dilation_takes_the_place_of_strides(stride, strides, dilations, rates) -> None:
    network = DeepLab(3, encoder_stride=stride, width=8)
    convs = depthwise(network)
    assert [c.stride[0] for c in convs] == [int(c) for c in strides.replace(" ", "")]
    assert [c.dilation[0] for c in convs] == [int(c) for c in dilations.replace(" ", "")]
    assert [branch[0][0].dilation[0] for branch in network.pyramid.around] == rates


def test_both_strides_have_the_same_parameters() -> None:
    shapes = [
        {name: p.shape for name, p in DeepLab(3, encoder_stride=stride, width=8).named_parameters()}
        for stride in (8, 16)
    ]
    assert shapes[0] == shapes[1]


def test_a_dilated_encoder_computes_the_strided_one_more_densely() -> None:
    """With the same weights, every second value at 1/8 is the value at 1/16, away from the rim."""
    torch.manual_seed(0)
    fine = DeepLab(3, encoder_stride=8, width=8).eval()
    coarse = DeepLab(3, encoder_stride=16, width=8).eval()
    coarse.load_state_dict(fine.state_dict())
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        dense, sparse = fine.deep(fine.early(x)), coarse.deep(coarse.early(x))
    assert (dense.shape[-1], sparse.shape[-1]) == (8, 4)
    torch.testing.assert_close(dense[..., ::2, ::2], sparse, rtol=1e-4, atol=1e-5)


def test_another_stride_is_refused() -> None:
    with pytest.raises(ValueError, match="32; expected 8 or 16"):
        DeepLab(3, encoder_stride=32)


def test_each_rate_of_the_pyramid_reaches_as_far() -> None:
    torch.manual_seed(0)
    pyramid = AtrousPyramid(2, 2, (2, 5)).eval()
    for rate, branch in zip((2, 5), pyramid.around, strict=True):
        x = torch.rand(1, 2, 13, 13, requires_grad=True)
        with torch.no_grad():
            for conv in (branch[0][0], branch[1][0]):
                conv.weight.abs_()
        branch(x)[0, :, 6, 6].sum().backward()
        rows, columns = x.grad[0].sum(0).nonzero(as_tuple=True)
        assert (
            sorted(set(rows.tolist())) == sorted(set(columns.tolist())) == [6 - rate, 6, 6 + rate]
        )


def test_the_pyramid_adds_the_mean_of_the_image() -> None:
    torch.manual_seed(0)
    pyramid = AtrousPyramid(4, 4, (1,)).eval()
    joined = []
    pyramid.project.register_forward_pre_hook(lambda _m, x: joined.append(x[0]))
    x = torch.randn(1, 4, 6, 9)
    with torch.no_grad():
        pyramid(x)
        image = pyramid.image[1](x.mean((2, 3), keepdim=True))
    torch.testing.assert_close(joined[0][:, -4:], image.expand(1, 4, 6, 9))


def test_logits_are_at_a_quarter(network) -> None:
    assert network(torch.zeros(1, 3, 36, 52)).shape == (1, 19, 9, 13)


def test_registered() -> None:
    assert build("deeplab", 11).pyramid.around[0][0][0].dilation == (6, 6)
