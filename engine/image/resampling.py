"""Resampling between canvas size and working size, without colour fringes and without stretching."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerfusion.engine.image.compositing import Unit, premultiply, to_bytes, to_unit
from layerfusion.engine.image.geometry import Framing, Size
from layerfusion.engine.image.layers import Pixels

Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels; coordinates are those of pixel edges, not of pixel centres."""


def resize(pixels: NDArray[np.uint8], size: Size, box: Box | None = None) -> NDArray[np.uint8]:
    """Resample 8-bit pixels with a Lanczos kernel (a = 3; wider when shrinking, to avoid aliasing).

    RGBA is resampled with premultiplied alpha, so that colour under alpha 0 never reaches an edge. Lanczos resampling
    rings: beside a hard edge it would leave a faint second outline. Therefore alpha stays at exactly 0 or 255 wherever
    bilinear resampling gives that value, and where Lanczos alpha is at most 0.5 the colour is the bilinear one (our
    choice).

    Args:
        pixels: uint8 (H, W, 4), straight alpha, or (H, W, 3).
        size: size of the result.
        box: the part of `pixels` to resample, all of it by default. Its edges may be fractional and must lie inside.

    Returns:
        uint8 (size.height, size.width, 4 or 3); `pixels` itself if neither size nor box change anything.
    """
    height, width = pixels.shape[:2]
    if box is None:
        box = (0, 0, width, height)
    if (size.width, size.height) == (width, height) and box == (0, 0, width, height):
        return pixels
    if pixels.shape[2] == 3:
        return to_bytes(_resample(to_unit(pixels), size, box, Image.Resampling.LANCZOS))
    unit = premultiply(pixels)
    sharp, smooth = (
        _resample(unit, size, box, kernel) for kernel in (Image.Resampling.LANCZOS, Image.Resampling.BILINEAR)
    )
    colour = np.where(sharp[..., 3:] > 0.5, _straight(sharp), _straight(smooth))
    covered = to_bytes(smooth[..., 3:])
    alpha = np.where((covered == 0) | (covered == 255), covered, to_bytes(sharp[..., 3:]))
    return np.where(alpha > 0, np.concatenate([to_bytes(colour), alpha], axis=-1), np.uint8(0))


def _straight(unit: Unit) -> Unit:
    return unit[..., :3] / np.maximum(unit[..., 3:], 1e-6)


def _resample(unit: Unit, size: Size, box: Box, kernel: Image.Resampling) -> Unit:
    """Resample each channel of float32 (H, W, C) separately."""
    shape = (size.width, size.height)
    channels = (Image.fromarray(np.ascontiguousarray(channel)) for channel in np.moveaxis(unit, -1, 0))
    return np.stack([np.asarray(channel.resize(shape, kernel, box)) for channel in channels], axis=-1)


def to_canvas(pixels: NDArray[np.uint8], framing: Framing) -> NDArray[np.uint8]:
    """Bring an image from working size to canvas size: one uniform scale, then the centred crop.

    Args:
        pixels: uint8 (framing.working.height, framing.working.width, 4 or 3).
        framing: canvas and working size.

    Returns:
        uint8 (framing.canvas.height, framing.canvas.width, 4 or 3).
    """
    return resize(pixels, framing.canvas, _window(framing))


def smooth_to_canvas(values: Unit, framing: Framing) -> Unit:
    """Bring an array from working size to canvas size, bilinearly: no value leaves the range of its neighbours.

    Args:
        values: float32 (framing.working.height, framing.working.width, C).
        framing: canvas and working size.

    Returns:
        float32 (framing.canvas.height, framing.canvas.width, C).
    """
    return _resample(values, framing.canvas, _window(framing), Image.Resampling.BILINEAR)


def _window(framing: Framing) -> Box:
    """`framing.window`, clipped to the working image because rounding may move it slightly outside."""
    left, top, right, bottom = framing.window
    return max(left, 0), max(top, 0), min(right, framing.working.width), min(bottom, framing.working.height)


def to_working(pixels: Pixels, offset: tuple[int, int], framing: Framing) -> Pixels:
    """Bring a layer of the canvas to working size, as input for the model; the inverse of `to_canvas`.

    Where the canvas is a crop of the working image, the working image reaches a little beyond the canvas; pixels that
    the layer has there are included.

    Args:
        pixels: uint8 (H, W, 4), straight alpha; any size.
        offset: (x, y) of the layer's top left pixel on the canvas, in pixels.
        framing: canvas and working size.

    Returns:
        uint8 (framing.working.height, framing.working.width, 4), transparent where the layer has no pixels.
    """
    left, top, _, _ = framing.window
    region = (  # the working image, in canvas pixels
        -left * framing.scale,
        -top * framing.scale,
        (framing.working.width - left) * framing.scale,
        (framing.working.height - top) * framing.scale,
    )
    x, y = math.floor(region[0]), math.floor(region[1])
    extended = np.zeros((math.ceil(region[3]) - y, math.ceil(region[2]) - x, 4), np.uint8)
    rows, layer_rows = _overlap(extended.shape[0], offset[1] - y, pixels.shape[0])
    columns, layer_columns = _overlap(extended.shape[1], offset[0] - x, pixels.shape[1])
    extended[rows, columns] = pixels[layer_rows, layer_columns]
    return resize(extended, framing.working, (region[0] - x, region[1] - y, region[2] - x, region[3] - y))


def _overlap(length: int, start: int, count: int) -> tuple[slice, slice]:
    """Clip `count` pixels that start at `start` to an axis of `length` pixels.

    Returns:
        The slice of the axis that they cover, and the slice of the `count` pixels that lies on the axis.
    """
    first, last = min(max(start, 0), length), min(max(start + count, 0), length)
    return slice(first, last), slice(first - start, last - start)
