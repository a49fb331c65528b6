"""Bringing a foreground to a larger canvas: an alpha drawn small follows the edges of colours drawn large."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from layerfusion.engine.image.compositing import to_bytes, to_unit
from layerfusion.engine.image.geometry import Framing
from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.image.resampling import smooth_to_canvas, to_canvas

_RADIUS = 2
"""Pixels of the small picture: an edge is looked for this near."""

_SOFTNESS = 1e-4
"""Variance of colour, 0-1 squared, below which the guide is held to be flat and says nothing of alpha."""

Unit = NDArray[np.float32]


def foreground_to_canvas(pixels: Pixels, guide: Pixels, framing: Framing, fine_guide: Pixels | None = None) -> Pixels:
    """A foreground at working size -> the canvas it covers, its alpha led by the edges of a picture of the object.

    Colour is resampled as everywhere. Alpha is taken to be a linear function of the guide's colours around every pixel
    (the guided filter: He, Sun & Tang 2013; solved small and applied large: He & Sun 2015), and keeps exactly 0 and 255
    wherever plain resampling finds nothing else, so that no backdrop leaks in.

    Args:
        pixels: uint8 (framing.working.height, framing.working.width, 4), straight alpha.
        guide: uint8, the same size: an opaque picture in which the object stands before a plain backdrop.
        framing: canvas and working size.
        fine_guide: uint8 (framing.canvas.height, framing.canvas.width, 4): the same picture with finer details; None
            enlarges `guide`.

    Returns:
        uint8 (framing.canvas.height, framing.canvas.width, 4); as `to_canvas` gives it where the canvas is no larger.
    """
    plain = to_canvas(pixels, framing)
    if framing.scale <= 1:
        return plain
    slope, base = linear_model(to_unit(guide[..., :3]), to_unit(pixels[..., 3]))
    model = smooth_to_canvas(np.concatenate([slope, base[..., None]], axis=-1), framing)
    large = to_canvas(np.ascontiguousarray(guide[..., :3]), framing) if fine_guide is None else fine_guide
    led = (model[..., :3] * to_unit(large[..., :3])).sum(axis=-1) + model[..., 3]
    alpha = plain[..., 3]
    result = plain.copy()
    result[..., 3] = np.where((alpha > 0) & (alpha < 255), to_bytes(led), alpha)
    return result


def linear_model(guide: Unit, alpha: Unit, radius: int = _RADIUS, softness: float = _SOFTNESS) -> tuple[Unit, Unit]:
    """Around every pixel, alpha as a linear function of colour: alpha ≈ slope · guide + base.

    Args:
        guide: float32 (H, W, 3), 0-1.
        alpha: float32 (H, W), 0-1.
        radius: of the square in which it is fitted, in pixels.
        softness: ε, added to the variance of colour.

    Returns:
        slope (H, W, 3) and base (H, W): means over all squares that hold the pixel.
    """
    mean, mean_alpha = box_mean(guide, radius), box_mean(alpha, radius)
    covariance = box_mean(guide * alpha[..., None], radius) - mean * mean_alpha[..., None]
    products = guide[..., :, None] * guide[..., None, :]
    variance = box_mean(products, radius) - mean[..., :, None] * mean[..., None, :]
    variance += softness * np.eye(3, dtype=np.float32)
    slope = np.linalg.solve(variance, covariance[..., None])[..., 0].astype(np.float32)
    base = mean_alpha - (slope * mean).sum(axis=-1)
    return box_mean(slope, radius), box_mean(base, radius)


def box_mean(values: Unit, radius: int) -> Unit:
    """Mean over the square of 2 radius + 1 pixels around each, of those that are in the picture. (H, W, …) alike."""
    for axis in (0, 1):
        length = values.shape[axis]
        sums = np.cumsum(values, axis=axis, dtype=np.float64)
        zero = np.zeros_like(np.take(sums, [0], axis=axis))
        sums = np.concatenate([zero, sums], axis=axis)
        places = np.arange(length)
        first, last = np.maximum(places - radius, 0), np.minimum(places + radius + 1, length)
        shape = [1] * values.ndim
        shape[axis] = length
        counts = (last - first).reshape(shape)
        values = ((np.take(sums, last, axis=axis) - np.take(sums, first, axis=axis)) / counts).astype(np.float32)
    return values
