"""Small pictures of what is being drawn, for impatient eyes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from layerfusion.engine.diffusion.layer_codec import decode_rgb, decode_rgba
from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.models.runtime.loading import ModelBundle

PREVIEWS = 5
"""A job, about."""

LONGEST_SIDE = 256
"""Pixels; wire and docker count on it."""


def is_due(done: int, steps: int) -> bool:
    """Whether a preview follows a step; after the last one the layers themselves do.

    Args:
        done: steps done, 1 … steps.
    """
    return done < steps and done % max(1, steps // PREVIEWS) == 0


def preview(bundle: ModelBundle, latents: Tensor, *, transparent: bool) -> Pixels:
    """Decode an estimate (1, C, h, w), reduced to at most 256 px a side before the costly part.

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
