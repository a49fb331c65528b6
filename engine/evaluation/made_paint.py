"""Colours and grain for the made pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating]
Rng = np.random.Generator


def colours(rng: Rng, count: int) -> Plane:
    """Colours (count, 3) at different brightnesses, in random order."""
    level = np.linspace(0.22, 0.85, count)[rng.permutation(count)]
    return (level[:, None] + rng.uniform(-0.28, 0.28, (count, 3))).clip(0.03, 0.97)


def between(colours: Plane, share: Plane) -> Plane:
    """Colours (count, 3) blended along `share`, 0-1: share.shape + (3,)."""
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(share, stops, colours[:, channel]) for channel in range(3)], axis=-1)


def band(rng: Rng, side: int, low: float, high: float) -> Plane:
    """Noise of unit variance with `low` to `high` cycles per frame and nothing else, (side, side)."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) * side
    spectrum = np.fft.rfft2(rng.normal(size=(side, side))) * ((frequency >= low) & (frequency <= high))
    plane = np.fft.irfft2(spectrum, s=(side, side))
    return plane / (plane.std() + 1e-9)
