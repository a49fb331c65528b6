"""Between the size an artist wants and the size a model draws: no fringes, nothing stretched."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerfusion.engine.image.compositing import Unit, premultiply, to_bytes, to_unit
from layerfusion.engine.image.geometry import Framing, Size
from layerfusion.engine.image.layers import Pixels

Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels, edges not centres."""


def resize(pixels: NDArray[np.uint8], size: Size, box: Box | None = None) -> NDArray[np.uint8]:
    """Resample 8-bit pixels with a Lanczos kernel (a = 3; wider when shrinking, so that nothing aliases).

    RGBA is resampled premultiplied, so that colour under alpha 0 never reaches an edge. Lanczos rings: beside a hard
    edge it would leave a faint second outline. So alpha stays at exactly 0 or 255 wherever bilinear resampling finds
    nothing else, and the colour of the fainter half of an edge is the bilinear one (our choice).

    Args:
        pixels: uint8 (H, W, 4), straight alpha, or (H, W, 3).
        size: of the result, in pixels.
        box: the part of `pixels` to take, all of it by default; may have fractions, must lie inside.

    Returns:
        uint8 (size.height, size.width, 4 or 3); `pixels` itself, byte for byte, where nothing is to be done.
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
    """Each channel of float32 (H, W, C) by itself."""
    shape = (size.width, size.height)
    channels = (Image.fromarray(np.ascontiguousarray(channel)) for channel in np.moveaxis(unit, -1, 0))
    return np.stack([np.asarray(channel.resize(shape, kernel, box)) for channel in channels], axis=-1)


def to_canvas(pixels: NDArray[np.uint8], framing: Framing) -> NDArray[np.uint8]:
    """A picture at working size -> the canvas it covers: one uniform scale, then the centred crop.

    Args:
        pixels: uint8 (framing.working.height, framing.working.width, 4 or 3).
        framing: canvas and working size.

    Returns:
        uint8 (framing.canvas.height, framing.canvas.width, 4 or 3).
    """
    return resize(pixels, framing.canvas, _window(framing))


def smooth_to_canvas(values: Unit, framing: Framing) -> Unit:
    """Numbers at working size -> the canvas, bilinear: no value leaves the range of its neighbours.

    Args:
        values: float32 (framing.working.height, framing.working.width, C).

    Returns:
        float32 (framing.canvas.height, framing.canvas.width, C).
    """
    return _resample(values, framing.canvas, _window(framing), Image.Resampling.BILINEAR)


def _window(framing: Framing) -> Box:
    """`framing.window`, kept inside the working picture against rounding."""
    left, top, right, bottom = framing.window
    return max(left, 0), max(top, 0), min(right, framing.working.width), min(bottom, framing.working.height)


def to_working(pixels: Pixels, offset: tuple[int, int], framing: Framing) -> Pixels:
    """A layer lying on the canvas -> the picture the model is shown: the way back from `to_canvas`.

    The working picture reaches a little beyond the canvas where the canvas is a crop of it; what the layer has there is
    shown too.

    Args:
        pixels: uint8 (H, W, 4), straight alpha; any size.
        offset: (x, y) of its top left pixel on the canvas, in pixels.
        framing: canvas and working size.

    Returns:
        uint8 (framing.working.height, framing.working.width, 4), transparent where the layer is not.
    """
    left, top, _, _ = framing.window
    region = (  # the working picture, in canvas pixels
        -left * framing.scale,
        -top * framing.scale,
        (framing.working.width - left) * framing.scale,
        (framing.working.height - top) * framing.scale,
    )
    x, y = math.floor(region[0]), math.floor(region[1])
    sheet = np.zeros((math.ceil(region[3]) - y, math.ceil(region[2]) - x, 4), np.uint8)
    rows, layer_rows = _overlap(sheet.shape[0], offset[1] - y, pixels.shape[0])
    columns, layer_columns = _overlap(sheet.shape[1], offset[0] - x, pixels.shape[1])
    sheet[rows, columns] = pixels[layer_rows, layer_columns]
    return resize(sheet, framing.working, (region[0] - x, region[1] - y, region[2] - x, region[3] - y))


def _overlap(length: int, start: int, count: int) -> tuple[slice, slice]:
    """Where `count` pixels placed at `start` lie on a line of `length`: on the line, and among themselves."""
    first, last = min(max(start, 0), length), min(max(start + count, 0), length)
    return slice(first, last), slice(first - start, last - start)
