"""Spatial editing: places for foregrounds that have none; and moving a foreground of a finished stack, then harmonising
the stack again (the paper's Fig. 1)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, LayeredImage, Role
from layerfusion.engine.image.placement import side_by_side
from layerfusion.engine.image.resampling import resize
from layerfusion.engine.request import GenerationRequest, visible_part
from layerfusion.engine.sources import Generated, Kept, Source, has_known_place


def arranged(request: GenerationRequest) -> GenerationRequest:
    """Give a place to each drawn foreground without a box, if the request has several foregrounds (our choice).

    The model would draw each of them in the middle of the picture, one over the other.

    Returns:
        The request with boxes side by side, smaller ones for later foregrounds, beside those whose place is known; the
        same request if there is nothing to place, or no room.
    """
    sources = request.foregrounds
    open_ones = [place for place, source in enumerate(sources) if not has_known_place(source)]
    if len(sources) == 1 or not open_ones:
        return request
    taken = [_columns(source, request.size) for place, source in enumerate(sources) if place not in open_ones]
    boxes = side_by_side(len(open_ones), request.size, taken)
    if boxes is None:
        return request
    placed = dict(zip(open_ones, boxes, strict=True))
    return replace(
        request,
        foregrounds=tuple(
            replace(source, box=placed[place]) if place in placed else source for place, source in enumerate(sources)
        ),
    )


def _columns(source: Source, canvas: Size) -> tuple[int, int]:
    """(left, right) in pixels of a foreground whose place is known."""
    if isinstance(source, Generated):
        assert source.box is not None
        return source.box.x, source.box.x + source.box.width
    left = max(source.layer.offset[0], 0)
    columns = np.flatnonzero(visible_part(source.layer, canvas).any(axis=0))
    return left + int(columns[0]), left + int(columns[-1]) + 1


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
