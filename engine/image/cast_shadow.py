"""What objects do to the ground beside them in the blended picture: the shadows they cast, and the glow at their feet.

A shadow has to give evidence of its own, because the model also draws the ground anew: it is a darkening of all three
channels alike, it is smooth, it touches the foot of an object, it lies near, and it is stronger than what differs
farther away, where no object is the cause (our choice throughout).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from layerfusion.engine.image.agreement import LUMINANCE, structure_agreement
from layerfusion.engine.image.filters import Plane, connected_to, dilate, gaussian_blur, largest

REACH = 0.16
"""How far from the lower half of an object its shadow may reach, as a fraction of the longer side."""

_RING = 0.08
"""The width of the ring around that zone which tells how far the two images differ without a cause."""

_SOFTNESS = 0.016
"""Standard deviation of the blur, as a fraction of the longer side."""

_QUIET = 0.08
"""A variance of log luminance that the soft edge of a shadow reaches: it counts as no structure."""

_DEEPEST, _BRIGHTEST = 1.3, 0.3
"""The strongest shadow and glow, natural log of linear light."""

_RESTORED = 1.14
"""What blur and doubt take from shadows, given back: of the training data\'s shadows 0.87 came through without it,
measured on 28 pictures."""


def ground_effect(after: Plane, before: Plane, objects: Sequence[Plane], trust: float) -> Plane:
    """Estimate the shadow and glow on the ground.

    Args:
        after, before: float32 (h, w, 3), linear light: the blended picture, and the composite of the layers.
        objects: the objects, each float32 (h, w), 0-1.
        trust: 0-1, how far the blended picture shows these very objects. If it shows others, what it draws beside them
            is more easily taken for shadow, so that less colour is then allowed in a shadow.

    Returns:
        float32 (h, w): natural logarithm of the factor on linear light; 0 where nothing is found. Below the objects it
        goes on smoothly, so that a soft outline has no seam.
    """
    cover = np.max(objects, axis=0)
    side = max(cover.shape)
    ground = ~dilate(cover > 0.03, max(1, round(0.008 * side)))
    brightness = np.log((after @ LUMINANCE + 0.01) / (before @ LUMINANCE + 0.01))
    near, feet = shadow_zones(objects, side)
    base, spread = _without_cause(brightness[dilate(near, round(_RING * side)) & ~near & ground])
    belief = np.clip(1 - (spread - 0.12) / 0.2, 0, 1) * np.clip(1 - (abs(base) - 0.12) / 0.25, 0, 1)

    agreement = structure_agreement(after, before, ground.astype(np.float32), quiet=_QUIET)
    weight = ground * agreement * colourless(after, before, brightness, least=0.2, tolerance=0.3 + 0.4 * trust)
    amount = gaussian_blur(weight.astype(np.float32), _SOFTNESS)
    share = amount / np.maximum(gaussian_blur(ground.astype(np.float32), _SOFTNESS), 0.05)
    smooth = gaussian_blur((weight * brightness).astype(np.float32), _SOFTNESS) / (amount + 0.02)
    effect = (smooth - base) * np.clip((share - 0.15) / 0.3, 0, 1)

    fade = belief * np.clip(1.15 * gaussian_blur(near.astype(np.float32), 0.03), 0, 1)
    darkening = np.minimum(_RESTORED * _touching(-effect, 0.04 + 0.5 * spread, near, feet), _DEEPEST)
    brightening = np.minimum(_touching(effect, 0.06 + 1.5 * spread, near, feet), _BRIGHTEST)
    return under_outlines(fade * (0.5 * trust * brightening - darkening), cover)


def shadow_zones(objects: Sequence[Plane], side: int) -> tuple[np.ndarray, np.ndarray]:
    """Find where shadows may lie, and the feet that they must touch: (h, w) bool each.

    Args:
        objects: the objects, each float32 (h, w), 0-1.
        side: the longer side in pixels.
    """
    near, feet = np.zeros(objects[0].shape, bool), np.zeros(objects[0].shape, bool)
    for alpha in objects:
        seen = alpha > 0.1
        rows = np.flatnonzero(seen.any(axis=1))
        if len(rows):
            height = (np.arange(len(seen)) - rows[0])[:, None] / max(rows[-1] - rows[0], 1)
            near |= dilate(seen & (height >= 0.5), round(REACH * side))
            feet |= dilate(seen & (height >= 0.6), max(2, round(0.025 * side)))
    return near, feet & near


def _without_cause(differences: Plane) -> tuple[float, float]:
    """How the two images differ where no object is the cause: the median, and the spread about it."""
    if differences.size < 30:
        return 0.0, 0.0
    base = float(np.median(differences))
    return base, 1.4826 * float(np.median(np.abs(differences - base)))


def colourless(after: Plane, before: Plane, brightness: Plane, *, least: float, tolerance: float) -> Plane:
    """Measure where only the brightness changes: where the hue changes, another thing is drawn.

    Args:
        after, before: float32 (h, w, 3), linear light.
        brightness: (h, w), natural log of the change of luminance.
        least, tolerance: how far the channels' changes (natural log) may lie apart: `least`, and `tolerance` for each
            unit of change of the brightness.

    Returns:
        (h, w): 1 where the channels change alike, towards 0 where they do not.
    """
    ratio = np.log((after + 0.01) / (before + 0.01))
    spread = largest(ratio) + largest(-ratio)
    return np.exp(-((spread / (least + tolerance * np.abs(brightness))) ** 4))


def _touching(effect: Plane, least: float, near: np.ndarray, feet: np.ndarray) -> Plane:
    """The part of an effect above `least` that is connected to a foot, with a soft edge."""
    found = connected_to(feet, near & (effect > least)).astype(np.float32)
    strong = np.clip((effect - least) / (least + 0.02), 0, 1)
    return np.maximum(effect, 0) * strong * np.clip(2 * gaussian_blur(found, 0.01) - 0.2, 0, 1)


def under_outlines(effect: Plane, cover: Plane) -> Plane:
    """Continue an effect (h, w) below objects with alpha `cover` (h, w), 0-1, with what lies beside them."""
    beside = (cover < 0.5).astype(np.float32)
    continued = gaussian_blur(effect * beside, 0.01) / (gaussian_blur(beside, 0.01) + 1e-3)
    return np.where(beside > 0, effect, continued).astype(np.float32)
