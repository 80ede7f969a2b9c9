"""ERFNet: Efficient Residual Factorized ConvNet for Real-Time Semantic Segmentation.

Romera, Álvarez, Bergasa & Arroyo 2018, https://doi.org/10.1109/TITS.2017.2750080. Residual blocks
whose 3x3 convolutions are factorised into 3x1 and 1x3 ("non-bottleneck-1D"): a third fewer
weights at the same width, so that the block needs no bottleneck. At 1/8 the rates of dilation
rise twice from 2 to 16; a small decoder goes back to the input's size.

Differences: batch norm has the usual eps of 1e-5 (published 1e-3), and no bias before it, where it
would have no effect. The encoder's own 1x1 classifier, with which the paper trains it beforehand,
is left out.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from rtseg.networks.layers import ConvNormAct, PooledConv, Sizes, TransposedNormAct, initialise
from rtseg.networks.upsampling import Transposed


class ERFNet(nn.Module):
    """(N, 3, H, W) images → (N, classes, H, W) logits; H and W are multiples of 8."""

    sizes = Sizes(8)
    output_stride = 1

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            PooledConv(3, 16),
            PooledConv(16, 64),
            *(Factorised(64, dropout=0.03) for _ in range(5)),
            PooledConv(64, 128),
            *(Factorised(128, dilation=rate, dropout=0.3) for rate in 2 * (2, 4, 8, 16)),
        )
        self.decoder = nn.Sequential(
            TransposedNormAct(128, 64),
            *(Factorised(64) for _ in range(2)),
            TransposedNormAct(64, 16),
            *(Factorised(16) for _ in range(2)),
            Transposed(16, classes, 2, stride=2),
        )
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(x)
        y = self.encoder(x)  # (N, 128, H/8, W/8)
        logits: Tensor = self.decoder(y)  # (N, classes, H, W)
        return logits


class Factorised(nn.Module):
    """Non-bottleneck-1D: 3x1 → 1x3 → dilated 3x1 → dilated 1x3, added to the input, ReLU.

    (N, channels, H, W) → (N, channels, H, W). Batch norm follows each pair, not each convolution.
    """

    def __init__(self, channels: int, *, dilation: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *_pair(channels, 1),
            nn.ReLU(inplace=True),
            *_pair(channels, dilation),
            nn.Dropout2d(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.branch(x))


def _pair(channels: int, dilation: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    """3x1 → ReLU → 1x3 → batch norm, the two halves of one 3x3 convolution."""
    vertical = nn.Conv2d(channels, channels, (3, 1), padding=(dilation, 0), dilation=(dilation, 1))
    horizontal = ConvNormAct(channels, channels, (1, 3), dilation=(1, dilation), act="none")
    return vertical, nn.ReLU(inplace=True), horizontal
