"""Upscaling a foreground to a larger canvas: its alpha follows the edges of a guide image (guided filter)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from layerfusion.engine.image.bands import Planes, bilinear, lanczos
from layerfusion.engine.image.compositing import to_bytes, to_unit
from layerfusion.engine.image.geometry import Framing
from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.image.resampling import canvas_grid, planes_of, rounded, to_canvas

_RADIUS = 2
"""Radius of the guided filter's window, in pixels of the small image (our choice)."""

_SOFTNESS = 1e-4
"""The guided filter's ε: a window whose colour variance (values 0-1, squared) is below it counts as flat (our
choice)."""

_TILE = 64
"""Side of the squares of the small image in which the filter is solved, where they have an edge of alpha."""

_NEAR = 2
"""How far beside an edge of alpha the solution is needed, in pixels of the small image."""

Unit = NDArray[np.float32]
Values = NDArray[np.floating]


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
    sharp, smooth = canvas_grid(lanczos, framing), canvas_grid(bilinear, framing)
    model = _model_of_edges(guide[..., :3], pixels[..., 3])
    backdrop = planes_of(guide[..., :3])
    for rows in smooth.vertical.blocks():
        for columns in smooth.horizontal.blocks():
            alpha = plain[rows, columns, 3]
            edge = (alpha > 0) & (alpha < 255)
            if edge.any():
                if fine_guide is None:
                    colours = to_unit(rounded(sharp.region(backdrop, rows, columns)))
                else:
                    colours = to_unit(fine_guide[rows, columns, :3]).transpose(2, 0, 1)
                slope_and_base = smooth.region(model, rows, columns)
                guided = (slope_and_base[:3] * colours).sum(axis=0) + slope_and_base[3]
                alpha[edge] = to_bytes(guided[edge])
    return plain


def _model_of_edges(guide: Pixels, alpha: NDArray[np.uint8]) -> Planes:
    """`linear_model` where alpha is neither 0 nor 255 or lies beside such a pixel, as (4, H, W): slope, then base.

    Elsewhere it is 0 and not needed: alpha stays as it is there.
    """
    height, width = alpha.shape
    model = np.zeros((4, height, width), np.float32)
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            inside = _around(top, height, _NEAR), _around(left, width, _NEAR)
            if alpha[inside].min() == 255 or alpha[inside].max() == 0:
                continue
            rows, columns = _around(top, height, 2 * _RADIUS), _around(left, width, 2 * _RADIUS)
            slope, base = linear_model(to_unit(guide[rows, columns]), to_unit(alpha[rows, columns]))
            part = np.s_[
                top - rows.start : top - rows.start + _TILE, left - columns.start : left - columns.start + _TILE
            ]
            target = model[:, top : top + _TILE, left : left + _TILE]
            target[:3], target[3] = slope[part].transpose(2, 0, 1), base[part]
    return model


def _around(start: int, length: int, margin: int) -> slice:
    """A tile along an axis with a margin on both sides, as far as the image goes."""
    return slice(max(start - margin, 0), min(start + _TILE + margin, length))


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
    alpha = alpha[..., None]
    one, other = np.triu_indices(3)
    means = box_mean(
        np.concatenate([guide, alpha, guide * alpha, guide[..., one] * guide[..., other]], axis=-1), radius
    )
    mean, mean_alpha = means[..., :3], means[..., 3:4]
    variance = means[..., 7:] - mean[..., one] * mean[..., other] + np.where(one == other, softness, 0)
    slope = _solved(variance, means[..., 4:7] - mean * mean_alpha)
    base = mean_alpha - (slope * mean).sum(axis=-1, keepdims=True)
    model = box_mean(np.concatenate([slope, base], axis=-1), radius).astype(np.float32)
    return model[..., :3], model[..., 3]


def _solved(matrix: Values, right: Values) -> Values:
    """Solve symmetric systems of three equations by Cramer's rule.

    Args:
        matrix: (..., 6), the entries in and above the diagonal, row by row.
        right: (..., 3), the right sides.

    Returns:
        (..., 3), the solutions.
    """
    a, b, c, d, e, f = np.moveaxis(matrix, -1, 0)
    first = d * f - e * e, c * e - b * f, b * e - c * d
    second = first[1], a * f - c * c, b * c - a * e
    third = first[2], second[2], a * d - b * b
    determinant = a * first[0] + b * first[1] + c * first[2]
    x, y, z = np.moveaxis(right, -1, 0)
    rows = (first, second, third)
    return np.stack([(row[0] * x + row[1] * y + row[2] * z) / determinant for row in rows], axis=-1)


def box_mean(values: Values, radius: int) -> Values:
    """Mean over the square of 2 radius + 1 pixels a side around each pixel, of those pixels that lie inside the image.

    Takes floats (H, W, …) and returns float64 of the same shape.
    """
    for axis in (0, 1):
        length = values.shape[axis]
        sums = np.cumsum(np.moveaxis(values, axis, 0), axis=0, dtype=np.float64)
        padded = np.concatenate([np.zeros_like(sums[:1]), sums])
        positions = np.arange(length)
        first, last = np.maximum(positions - radius, 0), np.minimum(positions + radius + 1, length)
        counts = (last - first).reshape(-1, *[1] * (values.ndim - 1))
        values = np.moveaxis((padded[last] - padded[first]) / counts, 0, axis)
    return values
