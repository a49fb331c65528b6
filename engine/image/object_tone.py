"""How the blended picture lights an object: one smooth change of tone, free of the blended picture's own drawing.

The model draws the object anew in its blended picture, never exactly as the layer shows it. Only what no drawing can
hide in may therefore be carried over to the layer: a brightness that changes linearly across the object, and one tint.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from layerfusion.engine.image.agreement import GAMMA, LUMINANCE, structure_agreement
from layerfusion.engine.image.filters import Plane, gaussian_blur, largest

FLOOR = 0.02
"""Added to linear light before its logarithm, so that near-black pixels say nothing."""

_WHOLE, _NONE = 0.20, 0.40
"""Median distance (natural log) of an object's pixels from the fitted tone: up to the first the fit is believed wholly,
from the second on not at all, because the blended picture then shows another object (our choice)."""

_LARGEST_CHANGE = 38 / 255
"""The largest change of stored values that the fit may make, apart from one pixel in a hundred (our choice)."""

_FINE = 0.02
"""What is finer than a blur of this standard deviation is structure, as a fraction of the longer side."""

_LARGEST_FINE_CHANGE, _MEAN_FINE_CHANGE = 3.4 / 255, 0.8 / 255
"""The largest change of structure, apart from one pixel in a hundred, and its mean (our choice). A shadow that is
multiplied makes an object's own contrasts smaller, and a light that is added clips at white; objects with bold patterns
therefore take less of both."""

_LIKELY_TINT, _UNLIKELY_TINT = 0.6, 1.1
"""The largest deviation of a channel from the brightness (natural log) that a light makes, and one that no light makes:
between them the fit is believed less and less (our choice)."""

_LEAST_TRUST = 0.1
"""Less trust than this is none."""

_QUIET = 0.02
"""The variance of log luminance below which an object has no structure that could agree."""

FEWEST = 20
"""Opaque pixels, at working size, without which the tone of an object cannot be told."""

_ROUNDS = 10


@dataclass(frozen=True, eq=False)
class ObjectTone:
    """The tone of one object.

    Attributes:
        log_gain: float32 (h, w, 3): natural logarithm of the factor on linear light. It has a value everywhere and is
            meant where the object is.
        trust: 0-1, how far the blended picture shows this very object; `log_gain` is scaled by it already. None if the
            object is too small or too translucent to tell; it then gets no tone.
    """

    log_gain: Plane
    trust: float | None


def fit_tone(after: Plane, before: Plane, alpha: Plane) -> ObjectTone:
    """Fit the tone of one object robustly (our choice): iteratively reweighted least squares with Tukey's biweight.

    Args:
        after, before: float32 (h, w, 3), linear light: the blended picture, and the composite of the layers.
        alpha: float32 (h, w), 0-1: what can be seen of the object.

    Returns:
        The tone. It does nothing if too little of the object is opaque, or if the blended picture shows another object.
    """
    nothing = np.zeros((*alpha.shape, 3), np.float32)
    inside = gaussian_blur((alpha > 0.95).astype(np.float32), 0.01) > 0.9
    if np.count_nonzero(inside) < FEWEST:
        return ObjectTone(nothing, None)
    lit, unlit = after[inside], before[inside]
    brightness = np.log((lit @ LUMINANCE + FLOOR) / (unlit @ LUMINANCE + FLOOR))
    tint = np.log((lit + FLOOR) / (unlit + FLOOR)) - brightness[:, None]
    agreement = structure_agreement(after, before, (alpha > 0.5).astype(np.float32), quiet=_QUIET)
    places = linear_places(inside)
    plane, colour, distance = fit_linear(places[inside], brightness, tint, agreement[inside])
    trust = falling(distance, _WHOLE, _NONE) * falling(float(np.abs(colour).max()), _LIKELY_TINT, _UNLIKELY_TINT)
    trust *= float(np.clip(2 * agreement[inside].mean(), 0, 1))
    if trust < _LEAST_TRUST:
        return ObjectTone(nothing, 0.0)
    gain = (trust * ((places @ plane)[..., None] + colour)).astype(np.float32)
    return ObjectTone(gain * np.float32(_within_bounds(gain, before, inside)), trust)


def falling(value: float, whole: float, none: float) -> float:
    """Return 1 up to `whole`, 0 from `none` on, and a straight line between."""
    return float(np.clip((none - value) / (none - whole), 0, 1))


def linear_places(inside: np.ndarray) -> Plane:
    """The places of an object (h, w), bool, for a linear fit.

    Returns:
        (h, w, 3): 1, and how far below and to the right of the object's centre, in standard deviations, at most 1.8.
    """
    rows, columns = np.nonzero(inside)
    down, across = np.mgrid[: inside.shape[0], : inside.shape[1]]
    below = np.clip((down - rows.mean()) / (rows.std() + 1e-3), -1.8, 1.8)
    beside = np.clip((across - columns.mean()) / (columns.std() + 1e-3), -1.8, 1.8)
    return np.stack([np.ones_like(below), below, beside], axis=-1)


def fit_linear(
    places: Plane, brightness: Plane, tint: Plane, agreement: Plane | float = 1.0
) -> tuple[Plane, Plane, float]:
    """Fit a tone to n pixels by iteratively reweighted least squares with Tukey's biweight.

    Args:
        places: (n, 3), rows of `linear_places`.
        brightness: (n,), natural log of each pixel's change of luminance.
        tint: (n, 3), how far each channel's change deviates from that.
        agreement: (n,) or a number, 0-1: how far each pixel is believed.

    Returns:
        The brightness as a plane (3,), the tint (3,), and the median distance of the pixels from both.
    """
    plane, colour = np.array([np.median(brightness), 0.0, 0.0]), np.median(tint, axis=0)
    for _ in range(_ROUNDS):
        distance = _distance(places, brightness, tint, plane, colour)
        reach = 3 * (1.4826 * np.median(distance) + 0.03)
        weight = agreement * np.clip(1 - (distance / reach) ** 2, 0, 1) ** 2 + 1e-6
        normal = (places * weight[:, None]).T @ places + weight.sum() * np.diag([1e-3, 0.3, 0.3])
        plane = np.linalg.solve(normal, places.T @ (weight * brightness))
        colour = (weight[:, None] * tint).sum(axis=0) / weight.sum()
    return plane, colour, float(np.median(_distance(places, brightness, tint, plane, colour)))


def _distance(places: Plane, brightness: Plane, tint: Plane, plane: Plane, colour: Plane) -> Plane:
    return np.abs(brightness - places @ plane) + largest(np.abs(tint - colour)) / 2


def _within_bounds(gain: Plane, before: Plane, inside: np.ndarray) -> float:
    """The factor, 0-1, by which a gain must be scaled so that all changes of stored values stay within their bounds."""
    near = _surroundings(inside, 4 * _FINE)
    fine = _FINE * max(inside.shape) / max(inside[near].shape)  # blurs are fractions of the longer side
    gain, before, inside = gain[near], before[near], inside[near]
    stored, scale = np.clip(before, 0, 1) ** (1 / GAMMA), 1.0
    weight = inside.astype(np.float32)[..., None]
    amount = gaussian_blur(weight, fine) + 1e-4
    smooth = np.clip(gaussian_blur(before, fine), 0, 1) ** (1 / GAMMA)
    for _ in range(_ROUNDS):  # the change is no linear function of the scale
        factor = np.exp(np.float32(scale / GAMMA) * gain)
        change = stored * (np.minimum(factor, 1) - 1)
        lighter = smooth * (np.maximum(factor, 1) - 1)
        change = (np.minimum(change + lighter, 1 - stored) * weight).astype(np.float32)  # white grows no lighter
        structure = largest(np.abs(change - gaussian_blur(change, fine) / amount)[inside])
        excess = max(
            float(np.percentile(largest(np.abs(change[inside])), 99)) / _LARGEST_CHANGE,
            float(np.percentile(structure, 99)) / _LARGEST_FINE_CHANGE,
            float(structure.mean()) / _MEAN_FINE_CHANGE,
        )
        if excess <= 1:
            break
        scale /= excess
    return scale


def _surroundings(inside: np.ndarray, margin: float) -> tuple[slice, slice]:
    """The rows and columns of an object, bool (h, w), and of a margin, a fraction of the longer side, around it."""
    reach = round(margin * max(inside.shape))
    found = [np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0)]
    rows, columns = (slice(max(0, int(one[0]) - reach), int(one[-1]) + 1 + reach) for one in found)
    return rows, columns
