"""Upscaling a foreground to a larger canvas: its alpha follows the edges of a guide image (guided filter)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from layerfusion.engine.image.compositing import to_bytes, to_unit
from layerfusion.engine.image.geometry import Framing
from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.image.resampling import smooth_to_canvas, to_canvas

_RADIUS = 2
"""Radius of the guided filter's window, in pixels of the small image (our choice)."""

_SOFTNESS = 1e-4
"""The guided filter's ε: a window whose colour variance (values 0-1, squared) is below it counts as flat (our
choice)."""

Unit = NDArray[np.float32]


def foreground_to_canvas(pixels: Pixels, guide: Pixels, framing: Framing, fine_guide: Pixels | None = None) -> Pixels:
    """Bring a foreground from working size to canvas size; its alpha follows the edges of an image of the object.

    Colour is resampled by `to_canvas`. Around every pixel, alpha is modelled as a linear function of the guide's colour
    (the guided filter: He, Sun & Tang 2013; solved at the small size and applied at the large one: He & Sun 2015).
    Alpha stays at exactly 0 or 255 wherever `to_canvas` gives that value, so that no backdrop becomes visible.

    Args:
        pixels: uint8 (framing.working.height, framing.working.width, 4), straight alpha.
        guide: uint8, the same size: an opaque image in which the object stands before a plain backdrop.
        framing: canvas and working size.
        fine_guide: uint8 (framing.canvas.height, framing.canvas.width, 4): the same image with finer details; None
            enlarges `guide`.

    Returns:
        uint8 (framing.canvas.height, framing.canvas.width, 4), straight alpha; the result of `to_canvas` if the canvas
        is not larger than the working size.
    """
    plain = to_canvas(pixels, framing)
    if framing.scale <= 1:
        return plain
    slope, base = linear_model(to_unit(guide[..., :3]), to_unit(pixels[..., 3]))
    model = smooth_to_canvas(np.concatenate([slope, base[..., None]], axis=-1), framing)
    large = to_canvas(np.ascontiguousarray(guide[..., :3]), framing) if fine_guide is None else fine_guide
    guided = (model[..., :3] * to_unit(large[..., :3])).sum(axis=-1) + model[..., 3]
    alpha = plain[..., 3]
    result = plain.copy()
    result[..., 3] = np.where((alpha > 0) & (alpha < 255), to_bytes(guided), alpha)
    return result


def linear_model(guide: Unit, alpha: Unit, radius: int = _RADIUS, softness: float = _SOFTNESS) -> tuple[Unit, Unit]:
    """Fit alpha as a linear function of colour around every pixel: alpha ≈ slope · guide + base.

    Args:
        guide: float32 (H, W, 3), 0-1.
        alpha: float32 (H, W), 0-1.
        radius: the function is fitted in a square window of 2 radius + 1 pixels a side.
        softness: ε, which is added to the variance of each colour channel.

    Returns:
        slope (H, W, 3) and base (H, W), float32: means over all windows that contain the pixel.
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
    """Mean over the square of 2 radius + 1 pixels a side around each pixel, of those pixels that lie inside the image.

    Takes float32 (H, W, …) and returns float32 of the same shape.
    """
    for axis in (0, 1):
        length = values.shape[axis]
        sums = np.cumsum(values, axis=axis, dtype=np.float64)
        zero = np.zeros_like(np.take(sums, [0], axis=axis))
        sums = np.concatenate([zero, sums], axis=axis)
        positions = np.arange(length)
        first, last = np.maximum(positions - radius, 0), np.minimum(positions + radius + 1, length)
        shape = [1] * values.ndim
        shape[axis] = length
        counts = (last - first).reshape(shape)
        values = ((np.take(sums, last, axis=axis) - np.take(sums, first, axis=axis)) / counts).astype(np.float32)
    return values
