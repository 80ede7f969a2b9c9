"""SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image Segmentation.

Badrinarayanan, Kendall & Cipolla 2015, https://arxiv.org/abs/1511.00561. The encoder is that of
VGG-16, the decoder its mirror image. Each max pool remembers where its maxima were, and the decoder
puts its values back there before it convolves them: boundaries stay where they were, nothing is
learned for the upsampling, and no feature maps are handed over.

As published, but for the initialisation (no ImageNet weights). No auxiliary heads: it has none.
29.4 million parameters.
"""

from __future__ import annotations

from torch import Tensor, nn

from rtseg.networks.layers import ConvNormAct, Sizes, initialise
from rtseg.networks.upsampling import Kind, MaxPool
from rtseg.networks.upsampling import upsampling as upsampling_module
from rtseg.networks.vgg import STAGES, vgg_stage


class SegNet(nn.Module):
    """(N, 3, H, W) images → (N, classes, H, W) logits; H and W are multiples of 32.

    upsampling: any kind of `rtseg.networks.upsampling` in place of the unpooling.
    """

    sizes = Sizes(32)
    output_stride = 1

    def __init__(self, classes: int, *, upsampling: Kind = "unpool") -> None:
        super().__init__()
        stages = range(len(STAGES))
        self.encoder = nn.ModuleList(vgg_stage(i) for i in stages)
        self.pool = MaxPool()
        self.up = nn.ModuleList(
            upsampling_module(upsampling, STAGES[i][0]) for i in reversed(stages)
        )
        self.decoder = nn.ModuleList(_mirrored(i) for i in reversed(stages))
        self.score = nn.Conv2d(STAGES[0][0], classes, 3, padding=1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(x)
        places: list[Tensor] = []  # of the maxima, at 1/2 … 1/32
        for stage in self.encoder:
            x, where = self.pool(stage(x))
            places.append(where)
        for up, stage in zip(self.up, self.decoder, strict=True):
            x = stage(up(x, places.pop()))
        logits: Tensor = self.score(x)
        return logits


def _mirrored(index: int) -> nn.Sequential:
    """The convolutions of `vgg_stage` backwards; in stage 0 the score is the last of them."""
    channels, count = STAGES[index]
    layers = [ConvNormAct(channels, channels) for _ in range(count - 1)]
    if index:
        layers.append(ConvNormAct(channels, STAGES[index - 1][0]))
    return nn.Sequential(*layers)
