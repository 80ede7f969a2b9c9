"""Fully Convolutional Networks for Semantic Segmentation.

Long, Shelhamer & Darrell 2014, https://arxiv.org/abs/1411.4038. VGG-16 with its fully connected
layers turned into convolutions gives class scores at 1/32; scores of earlier, finer layers are
added to them on the way up: none in FCN-32s, those at 1/16 in FCN-16s, and at 1/8 in FCN-8s.

What differs from the paper: "same" padding in place of padding the image by 100 pixels and cropping
the scores; the last, fixed bilinear upsampling is left to the postprocess kernel; batch norm in the
encoder (see `rtseg.networks.vgg`); the score layers start next to zero instead of at zero, as zeros
would let no gradient through to the encoder in the first step. No auxiliary heads: it has none.
134.3 million parameters at 21 classes, 103 million of which are fc6.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from rtseg.networks.layers import ConvDropout, Sizes, initialise
from rtseg.networks.upsampling import Transposed
from rtseg.networks.vgg import STAGES, vgg_stage

NEAR_ZERO = 0.001
"""Standard deviation of the score layers' weights at the start."""

_SKIPS: dict[int, tuple[int, ...]] = {32: (), 16: (3,), 8: (3, 2)}
"""Which stages of VGG-16 are scored besides the last, by output stride; in the order of use."""


class FCN(nn.Module):
    """(N, 3, H, W) images → (N, classes, H/stride, W/stride) logits; H, W multiples of 32."""

    sizes = Sizes(32)
    output_stride = 8

    def __init__(self, classes: int, *, stride: Literal[8, 16, 32] = 8) -> None:
        super().__init__()
        self.output_stride = stride
        self.stages = nn.ModuleList(vgg_stage(i) for i in range(len(STAGES)))
        self.pool = nn.MaxPool2d(2)
        self.classifier = nn.Sequential(ConvDropout(512, 4096, 7), ConvDropout(4096, 4096))  # fc6–7
        self.score = nn.Conv2d(4096, classes, 1)
        self.skips = _SKIPS[stride]
        self.skip_scores = nn.ModuleList(nn.Conv2d(STAGES[i][0], classes, 1) for i in self.skips)
        self.ups = nn.ModuleList(
            Transposed(classes, classes, 4, bias=False, bilinear=True) for _ in self.skips
        )
        initialise(self)
        for score in (self.score, *self.skip_scores):
            nn.init.normal_(score.weight, std=NEAR_ZERO)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(x)
        pooled: list[Tensor] = []  # at 1/2, 1/4, 1/8, 1/16 and 1/32
        for stage in self.stages:
            x = self.pool(stage(x))
            pooled.append(x)
        logits: Tensor = self.score(self.classifier(x))  # (N, classes, H/32, W/32)
        for index, up, score in zip(self.skips, self.ups, self.skip_scores, strict=True):
            logits = up(logits) + score(pooled[index])  # at 1/16, then at 1/8
        return logits
