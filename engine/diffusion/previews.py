"""Small pictures of the layers while they are drawn."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from layerfusion.engine.diffusion.layer_codec import decode_rgb, decode_rgba
from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.models.runtime.loading import ModelBundle

PREVIEWS = 5
"""Approximate number of previews of each layer in one job."""

LONGEST_SIDE = 256
"""Longest side of a preview in pixels. The protocol and the Krita docker rely on it."""


def is_due(done: int, steps: int) -> bool:
    """Whether previews are made after a step. After the last step there are none, because the layers follow.

    Args:
        done: number of steps done, 1 … steps.
    """
    return done < steps and done % max(1, steps // PREVIEWS) == 0


def preview(bundle: ModelBundle, latents: Tensor, *, transparent: bool) -> Pixels:
    """Decode an estimate (1, C, h, w). Its latents are first reduced so that the picture is at most 256 px a side.

    Returns:
        uint8 (H, W, 4), straight alpha.
    """
    factor = bundle.latent_factor
    limit = LONGEST_SIDE // factor
    height, width = latents.shape[-2:]
    if max(height, width) > limit:
        stride = max(1, bundle.spec.transparency.stride // factor)
        shrink = limit / max(height, width)
        size = tuple(max(1, round(side * shrink / stride)) * stride for side in (height, width))
        latents = F.interpolate(latents, size, mode="area")
    return decode_rgba(bundle, latents, views=1) if transparent else decode_rgb(bundle, latents)
