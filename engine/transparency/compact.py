"""The embedded model's transparent encoder and decoder: LayerDiffuse's idea at the size of a 128 px picture.

As in LayerDiffuse (Zhang & Agrawala, arXiv 2402.17113) the encoder writes transparency as a small offset into the
latents of the grey-padded colours, and the decoder reads colour and alpha back from the decoded picture and the
latents. Both are ours and a few hundred thousand parameters; the published networks are for SDXL-sized latents.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ENCODER_WIDTH = 96
DECODER_WIDTHS = (24, 48, 64, 96)


class CompactTransparentEncoder(nn.Module):
    """RGBA -> latent offset.

    Shapes: (B, 4, H, W), grey-padded RGB in -1..1 and alpha in -1..1, to (B, 4, H/8, W/8) in the UNet's latent scale.
    """

    def __init__(self) -> None:
        super().__init__()
        width = ENCODER_WIDTH
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(8),
            nn.Conv2d(4 * 64, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, 4, 3, padding=1),
        )

    def forward(self, rgba: Tensor) -> Tensor:
        return self.layers(rgba)


class CompactTransparentDecoder(nn.Module):
    """(RGB, latents) -> (RGB, alpha logit), a small UNet with the latents joined in at their own resolution.

    Shapes: rgb (B, 3, H, W) in -1..1, H and W multiples of 8; latents (B, 4, H/8, W/8); to rgb (B, 3, H, W) in about
    -1..1 and alpha logits (B, 1, H, W).
    """

    def __init__(self) -> None:
        super().__init__()
        first, second, third, middle = DECODER_WIDTHS
        self.down = nn.ModuleList([_block(12, first), _block(first, second), _block(second, third)])
        self.middle = _block(third + 4, middle)
        self.up = nn.ModuleList(
            [_block(middle + third, third), _block(third + second, second), _block(second + first, first)]
        )
        self.head = nn.Conv2d(first, 16, 3, padding=1)

    def forward(self, rgb: Tensor, latents: Tensor) -> tuple[Tensor, Tensor]:
        half = self.down[0](F.pixel_unshuffle(rgb, 2))
        quarter = self.down[1](F.avg_pool2d(half, 2))
        eighth = self.down[2](F.avg_pool2d(quarter, 2))
        x = self.middle(torch.cat([eighth, latents], dim=1))
        x = self.up[0](torch.cat([x, eighth], dim=1))
        x = self.up[1](torch.cat([F.interpolate(x, scale_factor=2), quarter], dim=1))
        x = self.up[2](torch.cat([F.interpolate(x, scale_factor=2), half], dim=1))
        correction = F.pixel_shuffle(self.head(x), 2)
        return rgb + correction[:, :3], correction[:, 3:]


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.GroupNorm(4, outputs),
        nn.SiLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.SiLU(),
    )
