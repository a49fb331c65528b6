"""Layer compositing with the arithmetic of Photoshop, OpenRaster and Krita, on 8-bit straight-alpha pixels.

With backdrop colour b and alpha β, source colour s and alpha α (times the layer's opacity), the result has

    alpha   ρ = α + β - αβ
    colour  c ρ = (1 - α) β b + (1 - β) α s + αβ B(b, s)

(PDF 1.7, ISO 32000-1 §11.3.6; Porter & Duff 1984 is the case B(b, s) = s). The formula is applied to the stored sRGB
values, not to linear light, because the three programs do so in an 8-bit sRGB document. The result is rounded to 8 bits
after every layer, as in Krita, so that our composite differs from Krita's by at most 1/255.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from layerfusion.engine.image.layers import BlendMode, LayeredImage, Pixels

Unit = NDArray[np.floating]
"""float32, values 0-1."""

_BAND = 256
"""Rows that are composited at a time. This keeps the float copies of a 4096 px canvas small."""

_BLEND: dict[BlendMode, Callable[[Unit, Unit], Unit]] = {
    BlendMode.NORMAL: lambda backdrop, source: source,
    BlendMode.MULTIPLY: lambda backdrop, source: backdrop * source,
    BlendMode.ADD: lambda backdrop, source: np.minimum(backdrop + source, np.float32(1)),
}


def premultiply(pixels: Pixels) -> Unit:
    """Convert uint8 (..., 4), straight alpha, to float32 (..., 4), 0-1, with colours multiplied by alpha."""
    unit = to_unit(pixels)
    unit[..., :3] *= unit[..., 3:]
    return unit


def unpremultiply(unit: Unit) -> Pixels:
    """Convert float32 (..., 4), premultiplied, to uint8 (..., 4), straight alpha, clipped to 0-255.

    Colour is black where alpha rounds to 0.
    """
    alpha = unit[..., 3:]
    colour = np.divide(unit[..., :3], alpha, out=np.zeros_like(unit[..., :3]), where=alpha > 0.5 / 255)
    return to_bytes(np.concatenate([colour, alpha], axis=-1))


def to_unit(values: NDArray[np.uint8]) -> Unit:
    """Convert uint8 values of any shape to float32, 0-1."""
    return np.divide(values, np.float32(255), dtype=np.float32)


def to_bytes(unit: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Convert floats of any shape, 0-1, to uint8; values are rounded to the nearest integer and clipped."""
    return np.clip(np.rint(unit * 255), 0, 255).astype(np.uint8)


def composite(backdrop: Pixels, source: Pixels, blend: BlendMode = BlendMode.NORMAL, opacity: float = 1.0) -> Pixels:
    """Composite `source` over `backdrop`.

    Args:
        backdrop: uint8 (H, W, 4), straight alpha.
        source: uint8 (H, W, 4), straight alpha, the same shape.
        blend: blend mode of the source: B in the module's formula.
        opacity: opacity of the source, 0-1. It is rounded to a multiple of 1/255, as files store it.

    Returns:
        uint8 (H, W, 4), straight alpha. Where the source is fully transparent, the backdrop's bytes are unchanged.
    """
    result = np.empty_like(backdrop)
    for top in range(0, len(backdrop), _BAND):
        rows = slice(top, top + _BAND)
        result[rows] = _composite_band(backdrop[rows], source[rows], blend, round(opacity * 255) / 255)
    return result


def _composite_band(backdrop: Pixels, source: Pixels, blend: BlendMode, opacity: float) -> Pixels:
    below, above = to_unit(backdrop), to_unit(source)
    beta, alpha = below[..., 3:], above[..., 3:] * np.float32(opacity)
    mixed = _BLEND[blend](below[..., :3], above[..., :3])
    colour = (1 - alpha) * beta * below[..., :3] + (1 - beta) * alpha * above[..., :3] + alpha * beta * mixed
    rho = alpha + beta - alpha * beta
    return np.where(alpha > 0, unpremultiply(np.concatenate([colour, rho], axis=-1)), backdrop)


def flatten(stack: LayeredImage) -> Pixels:
    """Composite the visible layers of a stack on a transparent canvas.

    Layers may lie partly or wholly outside the canvas; pixels outside it are ignored.

    Returns:
        uint8 (H, W, 4) of the canvas's size, straight alpha; transparent black where no layer is visible.
    """
    canvas = np.zeros((stack.size.height, stack.size.width, 4), np.uint8)
    for layer in stack:
        x, y = layer.offset
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + layer.size.width, stack.size.width), min(y + layer.size.height, stack.size.height)
        if layer.visible and left < right and top < bottom:
            below = canvas[top:bottom, left:right]
            above = layer.pixels[top - y : bottom - y, left - x : right - x]
            canvas[top:bottom, left:right] = composite(below, above, layer.blend, layer.opacity)
    return canvas


def over_checks(pixels: Pixels) -> NDArray[np.uint8]:
    """Show a layer over a light chequerboard of 8 px squares: uint8 (H, W, 4), straight alpha, to uint8 (H, W, 3)."""
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]] // 8
    board = np.where((rows + columns) % 2, 184.0, 230.0)[..., None]
    alpha = pixels[..., 3:] / 255
    return np.rint(pixels[..., :3] * alpha + board * (1 - alpha)).astype(np.uint8)


def bleed(pixels: Pixels, reach: int = 16) -> Pixels:
    """Give fully transparent pixels near an edge the colour of the visible pixels beside them.

    Viewers that scale straight-alpha pixels mix the colour under alpha 0 into the edge; black there would show as a
    dark fringe. Colour grows outwards by one pixel, then by one pixel of an image of half the size, and so on, so that
    the work does not grow with the distance (after the pull-push algorithm of Gortler et al. 1996, The Lumigraph,
    §3.4). Use it for generated layers only: colours under alpha 0 in an artist's layer must not change.

    Args:
        pixels: uint8 (H, W, 4), straight alpha.
        reach: colour is carried at least this far, in pixels, and at most about four times as far. Beyond that it is
            black, which compresses well.

    Returns:
        uint8 (H, W, 4). Alpha, and colour where alpha is above 0, are unchanged.
    """
    colours, _ = _grow(premultiply(pixels), reach)
    result = pixels.copy()
    result[..., :3] = np.where(pixels[..., 3:] > 0, pixels[..., :3], to_bytes(colours))
    return result


def _grow(unit: Unit, reach: float) -> tuple[Unit, Unit]:
    """Fill transparent pixels of a premultiplied (H, W, 4) image with colour.

    Returns:
        Colours (H, W, 3), filled up to `reach` pixels from the nearest visible pixel and black beyond; and (H, W, 1),
        1 where a colour is known and 0 elsewhere.
    """
    height, width = unit.shape[:2]
    near = np.pad(unit, ((1, 1), (1, 1), (0, 0)))
    near = near[:-2] + near[1:-1] + near[2:]
    near = near[:, :-2] + near[:, 1:-1] + near[:, 2:]
    source = np.where(unit[..., 3:] > 0, unit, near)
    known = (source[..., 3:] > 0).astype(np.float32)
    colours = source[..., :3] / np.where(known > 0, source[..., 3:], 1)
    if reach > 1:
        even = np.pad(unit, ((0, height % 2), (0, width % 2), (0, 0)))
        halved = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, 4).mean(axis=(1, 3))
        far, far_known = (a.repeat(2, 0).repeat(2, 1)[:height, :width] for a in _grow(halved, reach / 2))
        colours, known = np.where(known > 0, colours, far), np.maximum(known, far_known)
    return colours, known
