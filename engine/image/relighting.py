"""Known layers in the light of a drawing: what of the drawing can be shown on these very layers.

The model draws every object and ground anew, even those that the artist gave. `relit_paste` takes only their light
from the drawing: on an object a brightness that changes linearly across it and one tint, on the ground a smooth,
colourless darkening beside the objects. It also reads light from the unfinished estimates of a running job, which show
it before they show anything in detail. `shadow_light` asks for more evidence (our choice throughout).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from layerfusion.engine.image.agreement import GAMMA, LUMINANCE
from layerfusion.engine.image.bands import Planes, across, down
from layerfusion.engine.image.cast_shadow import colourless, shadow_zones, under_outlines
from layerfusion.engine.image.compositing import to_bytes, to_unit
from layerfusion.engine.image.filters import Plane, dilate, enlargement, flooded, gaussian_blur
from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.image.object_tone import FEWEST, FLOOR, falling, fit_linear, linear_places
from layerfusion.engine.image.reduction import alpha_mean, linear_mean

_WORKING_SIDE = 192
"""Light is read from images with at most this longer side, in pixels."""

_DETAIL = 0.03
"""The blur under which object and drawing are compared, as a fraction of the longer side: an unfinished drawing agrees
with the object only in its large forms."""

_WHOLE, _NONE = 0.45, 0.9
"""Median distance (natural log) from the fitted tone: up to the first it is believed wholly, from the second on not at
all. Twice as wide as in `object_tone`, because the drawing may be unfinished."""

_LIKELY_TINT, _UNLIKELY_TINT = 0.6, 1.1
"""The largest deviation of a channel from the brightness (natural log) that a light makes, and one that none makes."""

_DARKEST, _BRIGHTEST = -1.4, 0.7
"""Bounds of the tone on an object, natural log of linear light."""

_SOFTNESS = 0.02
"""Standard deviation of the blur of shadows, as a fraction of the longer side."""

_FAR = 0.1
"""Farther from the objects than this, a darkening is more likely that of the surroundings; a fraction of the longer
side."""

_RESTORED = 1.12
"""What blur and doubt take from shadows, given back: of the training data\'s shadows 0.89 came through without it,
measured on 28 pictures."""

_DEEPEST = 1.3
"""The deepest shadow, natural log of linear light."""


def relit_paste(shown: Pixels, ground: Pixels, objects: Sequence[Pixels]) -> Pixels:
    """Composite known layers in the light of a drawing of them.

    Args:
        shown: uint8 (H, W, 4), opaque: the drawing of the whole picture.
        ground: uint8 (H, W, 4), opaque: the background without the objects.
        objects: the objects, uint8 (H, W, 4), straight alpha, bottom first.

    Returns:
        uint8 (H, W, 4), opaque. Far from all objects it is `ground`, byte for byte.
    """
    height, width = ground.shape[:2]
    shrink = min(1.0, _WORKING_SIDE / max(height, width))
    rows, columns = max(1, round(height * shrink)), max(1, round(width * shrink))

    if not objects:
        return ground
    after, below = (linear_mean(picture, rows, columns) for picture in (shown, ground))
    covers = [alpha_mean(one[..., 3], rows, columns) for one in objects]
    fields = [_planes(_darkening(after, below, covers)[..., None])]
    for index, one in enumerate(objects):
        seen = covers[index] * np.prod([1 - cover for cover in covers[index + 1 :]], axis=0)
        fields.append(_planes(_tone(after, linear_mean(one, rows, columns), seen.astype(np.float32))))
    vertical, horizontal = enlargement(rows, height), enlargement(columns, width)
    result = ground.copy()
    for strip in vertical.blocks():
        near = vertical.reach(strip)
        covered = [bool(one[strip, :, 3].any()) for one in objects]
        if not any(covered) and not fields[0][:, near].any():
            continue
        shade, *tones = (across(horizontal, down(vertical, one[:, near], strip), slice(0, width)) for one in fields)
        picture = to_unit(ground[strip, :, :3]) * _factor(shade)
        for one, tone, seen in zip(objects, tones, covered, strict=True):
            if seen:
                alpha, colour = to_unit(one[strip, :, 3:]), to_unit(one[strip, :, :3])
                picture = picture * (1 - alpha) + np.minimum(colour * _factor(tone), 1) * alpha
        result[strip, :, :3] = to_bytes(picture)
    return result


def _planes(field: Plane) -> Planes:
    """(h, w, C) -> (C, h, w)."""
    return np.ascontiguousarray(field.transpose(2, 0, 1), np.float32)


def _factor(log_gain: Planes) -> Plane:
    """The factor on stored values, (rows, columns, C), of gains in linear light (C, rows, columns)."""
    return np.exp(log_gain / np.float32(GAMMA)).transpose(1, 2, 0)


def _tone(after: Plane, before: Plane, seen: Plane) -> Plane:
    """The tone of one object, (h, w, 3), natural log of the factor on linear light; 0 if too little of it is seen."""
    inside = seen > 0.95
    if np.count_nonzero(inside) < FEWEST:
        return np.zeros((*seen.shape, 3), np.float32)
    weight = inside.astype(np.float32)[..., None]
    amount = gaussian_blur(weight, _DETAIL) + 1e-4
    drawn, own = (gaussian_blur(picture * weight, _DETAIL) / amount + FLOOR for picture in (after, before))
    brightness = np.log((drawn @ LUMINANCE) / (own @ LUMINANCE))
    tint = np.log(drawn / own) - brightness[..., None]
    places = linear_places(inside)
    plane, colour, distance = fit_linear(places[inside], brightness[inside], tint[inside])
    trust = falling(distance, _WHOLE, _NONE)
    trust *= falling(float(np.abs(colour).max()), _LIKELY_TINT, _UNLIKELY_TINT)
    return (trust * np.clip((places @ plane)[..., None] + colour, _DARKEST, _BRIGHTEST)).astype(np.float32)


def _darkening(after: Plane, below: Plane, covers: Sequence[Plane]) -> Plane:
    """The shadows beside the objects, (h, w), natural log of the factor on linear light, at most 0.

    What darkens the whole surroundings is no shadow of the object, and a shadow grows no darker on its way from the
    object's foot.
    """
    cover = np.max(covers, axis=0)
    side = max(cover.shape)
    free = ~dilate(cover > 0.03, max(1, round(0.008 * side)))
    near, feet = shadow_zones(covers, side)
    brightness = np.log((after @ LUMINANCE + 0.01) / (below @ LUMINANCE + 0.01))
    weight = free * colourless(after, below, np.clip(brightness, -1, 1), least=0.5, tolerance=1.0)
    weight = (weight * np.clip((brightness + 1.5 * _DEEPEST) / (0.5 * _DEEPEST), 0, 1)).astype(np.float32)
    amount = gaussian_blur(weight, _SOFTNESS)
    share = amount / np.maximum(gaussian_blur(free.astype(np.float32), _SOFTNESS), 0.05)
    smooth = gaussian_blur((weight * brightness).astype(np.float32), _SOFTNESS) / (amount + 0.001)
    around = near & free & ~dilate(cover > 0.1, round(_FAR * side))
    base = min(0.0, float(np.median(brightness[around]))) if around.any() else 0.0
    dark = np.clip(_RESTORED * (base - smooth), 0, _DEEPEST) * np.clip(share / 0.4, 0, 1)
    fade = np.clip(1.3 * gaussian_blur(near.astype(np.float32), 0.04) - 0.15, 0, 1)
    return under_outlines(-fade * gaussian_blur(flooded(dark * feet, dark), 0.006), cover)
