"""Resampling between canvas size and working size, without colour fringes and without stretching."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from layerfusion.engine.image.bands import Bands, Planes, across, bilinear, down, lanczos, whole
from layerfusion.engine.image.compositing import Unit, premultiply, to_bytes
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
    sharp, smooth = (Grid.of(kernel, width, height, size, box) for kernel in (lanczos, bilinear))
    result = np.zeros((size.height, size.width, pixels.shape[2]), np.uint8)
    for rows in sharp.vertical.blocks():
        inputs = sharp.vertical.reach(rows)
        strip = pixels[inputs]
        for columns, kind in _kinds(strip, sharp.horizontal):
            if kind is _Kind.SOLID:
                colours = rounded(sharp.region(planes_of(strip[..., :3]), rows, columns, inputs))
                result[rows, columns, :3] = colours.transpose(1, 2, 0)
                result[rows, columns, 3:] = 255
            elif kind is _Kind.EDGE:
                result[rows, columns] = _edge(_premultiplied(strip), sharp, smooth, rows, columns, inputs)
    return result


@dataclass(frozen=True, eq=False)
class Grid:
    """Resampling of an image in both directions, one part of the result at a time."""

    vertical: Bands
    horizontal: Bands

    @classmethod
    def of(cls, kernel: Callable[..., Bands], width: int, height: int, size: Size, box: Box) -> Grid:
        """Resample the part `box` of an image of `width` and `height` to `size`."""
        left, top, right, bottom = box
        return cls(kernel(height, size.height, top, bottom), kernel(width, size.width, left, right))

    def region(self, planes: Planes, rows: slice, columns: slice, inputs: slice | None = None) -> Planes:
        """A part of the result, float32 (C, rows, columns).

        Args:
            planes: float32 (C, h, w), with all columns of the image.
            inputs: which rows of the image `planes` has; all by default.
        """
        inputs = inputs or slice(0, self.vertical.inputs)
        needed, wide = self.vertical.reach(rows), self.horizontal.reach(columns)
        part = planes[:, needed.start - inputs.start : needed.stop - inputs.start, wide]
        return across(self.horizontal, down(self.vertical, part, rows), columns, wide.start)


class _Kind(Enum):
    """What a part of a resampled image is like: wholly transparent, wholly opaque, or with an edge."""

    EMPTY = 0
    SOLID = 1
    EDGE = 2


def _kinds(strip: NDArray[np.uint8], horizontal: Bands) -> Iterator[tuple[slice, _Kind]]:
    """Divide the columns of a result by what the inputs are like, from left to right.

    Args:
        strip: uint8 (h, W, 3 or 4), the inputs.
    """
    if strip.shape[2] == 3:
        yield slice(0, len(horizontal)), _Kind.SOLID
        return
    least, most = strip[..., 3].min(axis=0), strip[..., 3].max(axis=0)

    def kind(block: slice) -> _Kind:
        inputs = horizontal.reach(block)
        if most[inputs].max() == 0:
            return _Kind.EMPTY
        return _Kind.SOLID if least[inputs].min() == 255 else _Kind.EDGE

    for found, blocks in groupby(horizontal.blocks(), kind):
        first, *_, last = [*blocks] * 2
        yield slice(first.start, last.stop), found


def _edge(unit: Planes, sharp: Grid, smooth: Grid, rows: slice, columns: slice, inputs: slice) -> Pixels:
    """The part of a result where alpha is neither 0 nor 255 everywhere; `unit` is premultiplied (4, h, w), 0-1."""
    crisp, soft = (grid.region(unit, rows, columns, inputs) for grid in (sharp, smooth))
    colour = np.where(crisp[3] > 0.5, _straight(crisp), _straight(soft))
    covered = to_bytes(soft[3])
    alpha = np.where((covered == 0) | (covered == 255), covered, to_bytes(crisp[3]))
    result = np.empty((*alpha.shape, 4), np.uint8)
    result[..., :3] = to_bytes(colour).transpose(1, 2, 0)
    result[..., 3] = alpha
    result[alpha == 0] = 0
    return result


def _straight(unit: Planes) -> Planes:
    return unit[:3] / np.maximum(unit[3], 1e-6)


def planes_of(pixels: NDArray[np.uint8]) -> Planes:
    """Convert uint8 (H, W, C) to float32 (C, H, W), 0-255."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)


def rounded(planes: Planes) -> NDArray[np.uint8]:
    """Convert floats (C, H, W), 0-255, to uint8 of the same shape; `planes` is used up."""
    np.rint(planes, out=planes)
    return np.clip(planes, 0, 255, out=planes).astype(np.uint8)


def _premultiplied(pixels: Pixels) -> Planes:
    """uint8 (h, w, 4), straight alpha, to float32 (4, h, w), 0-1, with colours multiplied by alpha."""
    return np.ascontiguousarray(premultiply(pixels).transpose(2, 0, 1))


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
    grid = canvas_grid(bilinear, framing)
    planes = np.ascontiguousarray(values.transpose(2, 0, 1))
    return whole(grid.vertical, grid.horizontal, planes).transpose(1, 2, 0)


def canvas_grid(kernel: Callable[..., Bands], framing: Framing) -> Grid:
    """The resampling from working size to canvas size."""
    working = framing.working
    return Grid.of(kernel, working.width, working.height, framing.canvas, _window(framing))


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
