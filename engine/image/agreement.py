"""Where two images of one scene draw the same: what `object_tone` and `cast_shadow` believe a change of light from."""

from __future__ import annotations

import numpy as np

from layerfusion.engine.image.filters import Plane, gaussian_blur

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Weights of linear sRGB channels in luminance (IEC 61966-2-1)."""

GAMMA = 2.2
"""The sRGB transfer curve as a power law: a factor r in linear light is a factor r^(1/2.2) on stored values."""

_WINDOW = 0.012
"""Standard deviation of the window in which structures are compared, as a fraction of the longer side."""


def structure_agreement(after: Plane, before: Plane, region: Plane, *, quiet: float) -> Plane:
    """Measure where two images draw the same structure: the contrast-structure term of SSIM (Wang et al. 2004) on log
    luminance, taken inside a region only, so that the outline of the region is no structure.

    Args:
        after, before: float32 (h, w, 3), linear light.
        region: float32 (h, w), 0-1.
        quiet: the variance of log luminance below which there is no structure, above 0.

    Returns:
        float32 (h, w): 1 where the structures are the same or where there are none, towards 0 where they differ.
    """
    first, second = (np.log(picture @ LUMINANCE + 0.02) for picture in (after, before))
    amount = gaussian_blur(region, _WINDOW) + 1e-3

    def mean(values: Plane) -> Plane:
        return gaussian_blur(values * region, _WINDOW) / amount

    def covariance(a: Plane, b: Plane) -> Plane:
        return mean(a * b) - mean(a) * mean(b)

    contrast = covariance(first, first) + covariance(second, second)
    return np.clip((2 * covariance(first, second) + quiet) / (contrast + quiet), 0, 1)
