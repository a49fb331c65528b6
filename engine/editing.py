"""Spatial editing (the paper's Fig. 1): move a foreground of a finished stack, then harmonise the stack again."""

from __future__ import annotations

import math
from dataclasses import replace

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, LayeredImage, Role
from layerfusion.engine.image.resampling import resize
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Kept


def moved(layer: Layer, by: tuple[int, int], scale: float = 1.0) -> Layer:
    """Move a layer by (x, y) pixels and scale it about its own centre.

    With scale 1 the pixels are unchanged; otherwise they are resampled with premultiplied alpha, so that no fringe
    appears.

    Raises:
        InvalidRequest: the scale is outside 0.05 to 20.
    """
    if not (math.isfinite(scale) and 0.05 <= scale <= 20):
        raise InvalidRequest(f"The scale is {scale!r}.", "Choose 0.05 to 20.")
    x, y = layer.offset
    if scale == 1.0:
        return replace(layer, offset=(x + by[0], y + by[1]))
    width, height = layer.size.width, layer.size.height
    size = Size(max(2, round(width * scale)), max(2, round(height * scale)))
    place = (x + by[0] + round((width - size.width) / 2), y + by[1] + round((height - size.height) / 2))
    return replace(layer, pixels=resize(layer.pixels, size), offset=place)


def harmonise(stack: LayeredImage, foreground: Layer, prompts: tuple[str, str], *, seed: int = 0) -> GenerationRequest:
    """Make the request that harmonises a stack's background with a foreground.

    Both come back byte for byte. Shadow, Light and Blended are drawn anew, starting from the composite of the two.

    Args:
        stack: a finished stack with one background; its Shadow, Light and Blended are ignored.
        foreground: the foreground at its new place.
        prompts: what the foreground and the background show, in this order.
        seed: the seed of the noise that is added to the composite, 0 to 2^53-1.

    Raises:
        InvalidRequest: the stack has no background, or more than one.
    """
    backgrounds = stack.by_role(Role.BACKGROUND)
    if len(backgrounds) != 1:
        raise InvalidRequest(f"The stack has {len(backgrounds)} backgrounds.", "Give one with a single background.")
    return GenerationRequest(
        size=stack.size,
        background=Kept(layer=backgrounds[0], prompt=prompts[1]),
        foregrounds=(Kept(layer=foreground, prompt=prompts[0]),),
        seed=seed,
    )
