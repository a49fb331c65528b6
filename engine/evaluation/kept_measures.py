"""What Shadow and Light do to pixels that the artist keeps, and whether Blended shows the object that was kept.

Pure functions from pictures to numbers, in numpy. Pictures are uint8 (H, W, 4), sRGB, straight alpha; alphas are
(H, W), 0-1. Changes are in units of 1/255 of stored values. All definitions and thresholds are our choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from layerfusion.engine.evaluation.measures import Colour, tone_shift
from layerfusion.engine.evaluation.regions import SEEN, SOLID, Mask, Plane, grown, shadow_place, shrunk, undisturbed
from layerfusion.engine.image.filters import gaussian_blur
from layerfusion.engine.image.layers import Pixels

FINE = 0.02
"""Standard deviation of the Gaussian that divides a change into structure and tone, a fraction of the longer side."""

NOTICED = 4
"""A change of a pixel by more than this many of 255 counts."""

_OPAQUE = 0.95

_FEWEST = 50
"""Regions with fewer pixels are not measured."""

LEAST_TONE = 0.05
"""A change of an object's mean colour in Blended that is smaller than this (ln) has no direction to be followed."""

_TONE = 0.06
"""Standard deviation of the window in which the tone of an object may change, as a fraction of the longer side."""

_DARKEST, _BRIGHTEST = math.log(0.25), math.log(1.8)
"""The range of a change of tone, ln of stored values; a factor beyond it is another colour."""

_TINTED = 0.5
"""The largest distance, ln, of one channel's change of tone from the mean of the three."""

_UNLIKELY = 0.1
"""How much a change of tone, or a shadow, adds to the distance of a pixel, as a fraction of its size: of two equally
good explanations of a pixel, the one that needs less light wins."""

_SHADOW = 0.02
"""Standard deviation of the window in which shadow and glow on the ground are smooth."""

_DEEPEST, _FAINT = math.log(0.2), 0.15
"""The deepest shadow where an object can cast one; and the largest darkening or glow elsewhere, ln of stored values."""

_FINEST = 0.008
"""Standard deviation of a blur of all pictures before outlines are compared, as a fraction of the longer side: a model
draws grain and fine texture anew, and coarser than the artist's layers have it."""

_NOISE = 0.008
"""Standard deviation of the window over which distances are averaged, and half the width of the thinnest thing that
counts as a part of an object, as fractions of the longer side."""

_DISTINCT = 24
"""A pixel beside the object belongs to an object if it differs from its Background by more than this, of 255."""

_OTHER = 48
"""A pixel on the object that differs from the Background by more than this, of 255, shows some object, if not this one:
what it shows is the business of other measures."""

_TELLING = 8
"""Where object and Background are closer than this, of 255, one cannot tell which of them Blended shows."""


def object_inside(alpha: Plane) -> Mask:
    """The region in which an object's own pixels are seen: its opaque pixels. If they are less than half of it, as of
    glass, all that is visible of it without its edge."""
    opaque, seen = alpha > _OPAQUE, alpha > SEEN
    return opaque if 2 * opaque.sum() >= seen.sum() else shrunk(seen, 0.012)


@dataclass(frozen=True)
class ObjectChange:
    """How Shadow and Light change an object, in units of 1/255; each is the largest of the three channels.

    Attributes:
        structure, structure_p99: mean and 99th percentile of the change that is finer than `FINE`.
        tone_p99: 99th percentile of the smooth change.
        redrawn_p99: 99th percentile of what no smooth factor and offset explain. A darker light makes also the
            object's own contrasts smaller: that is structure of the change, but nothing is drawn anew.
    """

    structure: float
    structure_p99: float
    tone_p99: float
    redrawn_p99: float


def object_change(shown: Pixels, flat: Pixels, alpha: Plane) -> ObjectChange:
    """Divide the change of an object into structure and tone. The blur is taken inside the object only.

    Args:
        shown: the stack with Shadow and Light.
        flat: the stack without them.
        alpha: the object's.

    Returns:
        The change; NaN if the object is too small to measure.
    """
    inside = object_inside(alpha)
    if inside.sum() < _FEWEST:
        return ObjectChange(math.nan, math.nan, math.nan, math.nan)
    change = shown[..., :3].astype(np.float32) - flat[..., :3]
    smooth = _within(change, inside, FINE)
    structure = np.abs(change - smooth).max(axis=-1)[inside]
    tone = np.abs(smooth).max(axis=-1)[inside]
    redrawn = np.abs(_unexplained(shown, flat, inside)).max(axis=-1)[inside]
    p99 = (float(np.percentile(values, 99)) for values in (structure, tone, redrawn))
    return ObjectChange(float(structure.mean()), *p99)


def _unexplained(shown: Pixels, flat: Pixels, inside: Mask) -> Plane:
    """The change (H, W, 3) that is left after the best factor and offset, both smooth (local least squares, as in the
    guided filter of He et al. 2010)."""
    after, before = (picture[..., :3].astype(np.float32) for picture in (shown, flat))
    mean_after, mean_before = (_within(picture, inside, _TONE) for picture in (after, before))
    covariance = _within(after * before, inside, _TONE) - mean_after * mean_before
    factor = (covariance + 1) / (_within(before * before, inside, _TONE) - mean_before**2 + 1)
    factor, offset = (_within(plane, inside, _TONE) for plane in (factor, mean_after - factor * mean_before))
    return after - factor * before - offset


def object_shift(picture: Pixels, flat: Pixels, alpha: Plane) -> Colour:
    """ln of the object's mean colour in a picture divided by that in the stack without Shadow and Light, (3,)."""
    inside = object_inside(alpha)
    if not inside.any():
        return np.full(3, math.nan)
    return tone_shift(*(image[..., :3][inside].mean(axis=0) / 255.0 for image in (picture, flat)))


def changed_elsewhere(shown: Pixels, flat: Pixels, alpha: Plane) -> float:
    """Fraction of the pixels away from the object and from its shadow that Shadow and Light change by more than
    `NOTICED`; NaN if there are too few."""
    away = undisturbed(_as_solid(alpha))
    if away.sum() < _FEWEST:
        return math.nan
    change = np.abs(shown[..., :3].astype(np.int16) - flat[..., :3]).max(axis=-1)
    return float((change[away] > NOTICED).mean())


@dataclass(frozen=True)
class Outline:
    """What Blended shows of an object.

    Attributes:
        iou: intersection over union of the object in Blended with the object's alpha.
        drawn: fraction of the object that Blended shows.
        beyond: area of what Blended draws beside the object, as a fraction of the object's area.
    """

    iou: float
    drawn: float
    beyond: float


def outline_in(blended: Pixels, background: Pixels, flat: Pixels, alpha: Plane) -> Outline:
    """Compare the outline of the object in Blended with that of the object itself.

    On the object, a pixel of Blended shows the object unless it is near the Background, and nearer than to the object's
    own pixels, each in the light that explains Blended best: the object in a smooth tone, the Background in a smooth,
    colourless shadow. Pixels where object and Background look alike are left out. Beside it, a pixel shows an object if
    it differs from the Background in the best smooth, colourless shadow; away from the foot only a faint one is
    allowed. Pixels along the object's edge are left out.

    Args:
        blended: the blended picture.
        background: the background alone.
        flat: background and object without Shadow and Light.
        alpha: the object's.

    Returns:
        The comparison; NaN if nothing can be told apart on the object.
    """
    seen, solid = alpha > SEEN, _as_solid(alpha) > SOLID
    x, b, f = (_soft(picture, solid) for picture in (blended, background, flat))
    telling = solid & (_within(np.abs(f - b).max(axis=-1), solid, _NOISE) > _TELLING)
    if telling.sum() < _FEWEST:
        return Outline(math.nan, math.nan, math.nan)
    to_object = _distance(x, f, _toned(x, f, solid), solid)
    to_ground = _distance(x, b, _shaded(x, b, solid, np.full(solid.shape, _DEEPEST)), solid)
    shown = telling & ((to_object <= to_ground) | (to_ground > _OTHER))
    beside = ~grown(seen, 0.008)
    x, b = _soft(blended, beside), _soft(background, beside)
    dark = np.where(shadow_place(_as_solid(alpha)), _DEEPEST, -_FAINT)
    strange = _within(np.abs(x - _shaded(x, b, beside, dark)).max(axis=-1), beside, _NOISE) > _DISTINCT
    beyond = grown(shrunk(strange & beside, _NOISE), _NOISE) & beside
    drawn, area = float(shown.sum() / telling.sum()), float(beyond.sum() / solid.sum())
    return Outline(iou=drawn / (1 + area), drawn=drawn, beyond=area)


def _as_solid(alpha: Plane) -> Plane:
    """The alpha of the object if it were as opaque as others are: glass, too, has a box and a place for its shadow."""
    seen = alpha > SEEN
    return np.minimum(alpha / np.quantile(alpha[seen], 0.9), 1) if seen.any() else alpha


def _within(values: Plane, region: Mask, sigma: float) -> Plane:
    """Blur values (H, W) or (H, W, C) inside a region, so that nothing outside it counts."""
    weight = region.astype(np.float32)
    shaped = weight if values.ndim == 2 else weight[..., None]
    amount = gaussian_blur(weight, sigma) + 1e-6
    return gaussian_blur((values * shaped).astype(np.float32), sigma) / (
        amount if values.ndim == 2 else amount[..., None]
    )


def _soft(picture: Pixels, region: Mask) -> Plane:
    """The colours in a region as float32 (H, W, 3), 0-255, without what is finer than a model draws."""
    return _within(picture[..., :3].astype(np.float32), region, _FINEST)


def _toned(x: Plane, f: Plane, region: Mask) -> Plane:
    """The object's pixels in the smooth tone that brings them nearest to Blended's, within what light can do."""
    gain = _within(x * f, region, _TONE) / (_within(f * f, region, _TONE) + 1)
    tone = np.log(np.maximum(gain, 1e-3))
    level = np.median(tone, axis=-1, keepdims=True).clip(_DARKEST, _BRIGHTEST)
    return f * np.exp(level + (tone - level).clip(-_TINTED, _TINTED))


def _shaded(x: Plane, b: Plane, region: Mask, deepest: Plane) -> Plane:
    """The Background in the smooth, colourless light that brings it nearest to Blended, at least `deepest`, ln."""
    numerator = _within((x * b).sum(axis=-1), region, _SHADOW)
    gain = numerator / (_within((b * b).sum(axis=-1), region, _SHADOW) + 1)
    return b * np.exp(np.log(np.maximum(gain, 1e-3)).clip(deepest, _FAINT))[..., None]


def _distance(x: Plane, plain: Plane, lit: Plane, region: Mask) -> Plane:
    """The distance of Blended from a lit picture, (H, W), and a little for the light that it needs."""
    away = np.abs(x - lit).max(axis=-1) + _UNLIKELY * np.abs(lit - plain).max(axis=-1)
    return _within(away, region, _NOISE)
