"""The embedded model's transparent encoder and decoder: LayerDiffuse's latent transparency for its small pictures.

As in LayerDiffuse (Zhang & Agrawala, arXiv 2402.17113), the encoder adds transparency as a small offset to the latents
of the grey-padded colours, and the decoder reads colour and alpha back from the decoded image and the latents. Both
architectures are our choice and have a few hundred thousand parameters each; the published networks are made for SDXL's
latents.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ENCODER_WIDTH = 96
DECODER_WIDTHS = (24, 48, 64, 96)


class CompactTransparentEncoder(nn.Module):
    """Network from RGBA to a latent offset.

    Input: (B, 4, H, W), grey-padded RGB and alpha, all in -1..1, H and W multiples of `factor`. Output: (B, channels,
    H/factor, W/factor) in the UNet's latent scale.

    Args:
        channels: channels of the latents.
        factor: pixels per latent, a side: 8, or 8 times a power of two.
    """

    def __init__(self, channels: int = 4, factor: int = 8) -> None:
        super().__init__()
        width = ENCODER_WIDTH
        halvings = (factor // 8).bit_length() - 1
        assert factor == 8 << halvings
        layers: list[nn.Module] = [nn.PixelUnshuffle(8), nn.Conv2d(4 * 64, width, 3, padding=1), nn.SiLU()]
        for _ in range(halvings):
            layers += [nn.Conv2d(width, width, 3, stride=2, padding=1), nn.SiLU()]
        layers += [nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, channels, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, rgba: Tensor) -> Tensor:
        return self.layers(rgba)


FAINT = (0.05, 0.12)
"""Alpha up to the first counts as none, from the second on as what it is; between them it rises smoothly. Around a soft
outline the decoder is not sure that there is nothing, and says so in a veil that nobody wants to retouch."""


class CompactTransparentDecoder(nn.Module):
    """Small UNet from a decoded image and its latents to RGB and alpha; the latents enter at 1/8 resolution.

    Input: rgb (B, 3, H, W) in -1..1, H and W multiples of 8 and of the pixels per latent; latents (B, channels, h, w)
    in the UNet's scale, of 1/8 resolution or less. Output: rgb (B, 3, H, W), about -1..1 and not clipped, and alpha
    logits (B, 1, H, W), without what is `FAINT` unless it is being trained.

    Args:
        channels: channels of the latents.
    """

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        first, second, third, middle = DECODER_WIDTHS
        self.down = nn.ModuleList([_block(12, first), _block(first, second), _block(second, third)])
        self.middle = _block(third + channels, middle)
        self.up = nn.ModuleList(
            [_block(middle + third, third), _block(third + second, second), _block(second + first, first)]
        )
        self.head = nn.Conv2d(first, 16, 3, padding=1)

    def forward(self, rgb: Tensor, latents: Tensor) -> tuple[Tensor, Tensor]:
        half = self.down[0](F.pixel_unshuffle(rgb, 2))
        quarter = self.down[1](F.avg_pool2d(half, 2))
        eighth = self.down[2](F.avg_pool2d(quarter, 2))
        if latents.shape[-2:] != eighth.shape[-2:]:  # a latent of more than eight pixels
            latents = F.interpolate(latents, size=eighth.shape[-2:])
        x = self.middle(torch.cat([eighth, latents], dim=1))
        x = self.up[0](torch.cat([x, eighth], dim=1))
        x = self.up[1](torch.cat([F.interpolate(x, scale_factor=2), quarter], dim=1))
        x = self.up[2](torch.cat([F.interpolate(x, scale_factor=2), half], dim=1))
        correction = F.pixel_shuffle(self.head(x), 2)
        logits = correction[:, 3:]
        return rgb + correction[:, :3], logits if self.training else _without_faint(logits)


def _without_faint(logits: Tensor) -> Tensor:
    alpha, (nothing, something) = logits.sigmoid(), FAINT
    share = ((alpha - nothing) / (something - nothing)).clamp(0, 1)
    thinner = alpha * share * share * (3 - 2 * share)
    return torch.where(share < 1, thinner.clamp(min=1e-6).logit(), logits)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.GroupNorm(4, outputs),
        nn.SiLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.SiLU(),
    )
