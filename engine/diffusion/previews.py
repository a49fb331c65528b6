"""Small pictures of the layers while they are drawn."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from layerfusion.engine.diffusion.layer_codec import opaque, with_alpha
from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.models.runtime.loading import ModelBundle
from layerfusion.engine.models.runtime.vae import to_rgb

PREVIEWS = 5
"""Approximate number of previews of each layer in one job, the one after the first step included."""

LONGEST_SIDE = 256
"""Longest side of a preview in pixels. The protocol and the Krita docker rely on it."""

_SHARE = 4
"""A preview's longest side is at most the model's native size divided by this, so that it costs a small part of the job
however small the model is (our choice)."""


def is_due(done: int, steps: int) -> bool:
    """Whether previews are made after a step: the first, which shows where things will be, and then at even distances.
    After the last step there are none, because the layers follow. If there are few steps, only every other one has
    previews: they would cost more than the steps.

    Args:
        done: number of steps done, 1 … steps.
    """
    return done < steps and (done == 1 or done % max(2, steps // PREVIEWS) == 0)


def longest_side(spec: ModelSpec) -> int:
    """The longest side of a model's previews, in pixels."""
    return min(LONGEST_SIDE, spec.native_size // _SHARE)


def reduced_grid(spec: ModelSpec, factor: int, height: int, width: int, longest: int) -> tuple[int, int]:
    """The size of a small picture's latents, in multiples of the transparent decoder's stride.

    Args:
        spec: the model.
        factor: pixels per latent along each axis.
        height, width: size of the whole picture's latents.
        longest: longest side of the small picture, in pixels.
    """
    limit = longest // factor
    if max(height, width) <= limit:
        return height, width
    stride = max(1, spec.transparency.stride // factor)
    shrink = limit / max(height, width)
    rows, columns = (max(1, round(side * shrink / stride)) * stride for side in (height, width))
    return rows, columns


def previews(
    bundle: ModelBundle, latents: Tensor, *, transparent: Sequence[bool], longest: int = LONGEST_SIDE
) -> list[Pixels]:
    """Decode estimates (B, C, h, w), whose latents are first reduced to pictures of at most `longest` px a side.

    The VAE decodes them in one batch, which costs a third less than one after the other.

    Args:
        transparent: which of them are foregrounds.

    Returns:
        uint8 (H, W, 4) each, straight alpha.
    """
    grid = reduced_grid(bundle.spec, bundle.latent_factor, latents.shape[-2], latents.shape[-1], longest)
    if grid != latents.shape[-2:]:
        latents = F.interpolate(latents, grid, mode="area")
    pictures = to_rgb(bundle, latents).split(1)
    return [
        with_alpha(bundle, picture, own, views=1) if has_alpha else opaque(picture)
        for picture, own, has_alpha in zip(pictures, latents.split(1), transparent, strict=True)
    ]
