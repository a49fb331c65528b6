"""Layer compositing with the arithmetic of Photoshop, OpenRaster and Krita, on 8-bit straight-alpha pixels.

With backdrop colour b and alpha β, source colour s and alpha α (times the layer's opacity), the result has

    alpha   ρ = α + β - αβ
    colour  c ρ = (1 - α) β b + (1 - β) α s + αβ B(b, s)

(PDF 1.7, ISO 32000-1 §11.3.6; Porter & Duff 1984 is the case B(b, s) = s). The formula is applied to the stored sRGB
values, not to linear light, because the three programs do so in an 8-bit sRGB document. The result is rounded to 8 bits
after every layer, as in Krita, so that our composite differs from Krita's by at most 1/255.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from layerfusion.engine.image.filters import dilate
from layerfusion.engine.image.layers import BlendMode, LayeredImage, Pixels

Unit = NDArray[np.floating]
"""float32, values 0-1."""

_BAND = 64
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
    result = backdrop.copy()
    _composite_onto(result, source, blend, opacity)
    return result


def _composite_onto(canvas: Pixels, source: Pixels, blend: BlendMode, opacity: float) -> None:
    """`composite` with its result in the place of the backdrop."""
    strength = round(opacity * 255)
    for top in range(0, len(canvas), _BAND):
        below, above = canvas[top : top + _BAND], source[top : top + _BAND]
        seen = np.flatnonzero(above[..., 3].any(axis=0))
        if seen.size and strength:
            columns = slice(int(seen[0]), int(seen[-1]) + 1)
            _composite_band(below[:, columns], above[:, columns], blend, strength)


def _composite_band(below: Pixels, above: Pixels, blend: BlendMode, strength: int) -> None:
    """Composite `above` over `below` in place; `strength` is the opacity, 1-255."""
    beta = below[..., 3]
    if beta.min() == 255:
        _over_opaque(below, above, blend, strength)
    elif strength == 255 and beta.max() == 0:
        np.copyto(below.view(np.uint32), above.view(np.uint32), where=above[..., 3:] > 0)
    else:
        mixed = _mixed(to_unit(below), to_unit(above), blend, strength / 255)
        np.copyto(below, mixed, where=above[..., 3:] > 0)


def _mixed(below: Unit, above: Unit, blend: BlendMode, opacity: float) -> Pixels:
    """The module's formula."""
    beta, alpha = below[..., 3:], above[..., 3:] * np.float32(opacity)
    both = _BLEND[blend](below[..., :3], above[..., :3])
    colour = (1 - alpha) * beta * below[..., :3] + (1 - beta) * alpha * above[..., :3] + alpha * beta * both
    return unpremultiply(np.concatenate([colour, alpha + beta - alpha * beta], axis=-1))


def _over_opaque(below: Pixels, above: Pixels, blend: BlendMode, strength: int) -> None:
    """The module's formula for β = 1, in place and in whole numbers: c = b + α (B(b, s) - b), rounded to the nearest.

    The denominators are odd, so that no value lies in the middle between two integers.
    """
    plain = strength == 255
    alpha = above[..., 3].astype(np.uint16) if plain else above[..., 3] * np.uint32(strength)
    whole = alpha.dtype.type(255 if plain else 255 * 255)
    rest = whole - alpha
    for channel in range(3):
        b, s = below[..., channel].astype(alpha.dtype), above[..., channel].astype(alpha.dtype)
        if blend is BlendMode.MULTIPLY:
            value = _rounded(b * (255 * np.uint32(whole) - alpha * (255 - s).astype(np.uint32)), 255 * int(whole))
        else:
            value = _rounded(
                b * rest + (s if blend is BlendMode.NORMAL else np.minimum(b + s, 255)) * alpha, int(whole)
            )
        below[..., channel] = value


def _rounded(numerator: NDArray[np.unsignedinteger], denominator: int) -> NDArray[np.unsignedinteger]:
    """The nearest integers to numerator / denominator, which is odd; the numerator's array is used up."""
    if numerator.dtype == np.uint16:  # denominator 255
        numerator += 128
        numerator += numerator >> 8
        return np.right_shift(numerator, 8, out=numerator)
    numerator += denominator // 2
    return np.floor_divide(numerator, denominator, out=numerator)


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
            _composite_onto(below, above, layer.blend, layer.opacity)
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
    result, transparent = pixels.copy(), pixels[..., 3] == 0
    words = result.view(np.uint32)[..., 0]  # a pixel a word: masks of single bytes take far longer
    np.copyto(words, 0, where=transparent)
    margin = max(
        32, 2 * 2 ** math.ceil(math.log2(reach))
    )  # as far as the coarsest pixels reach, and a multiple of them
    for rows, columns in _beside_edges(pixels[..., 3], margin):
        top, left = max(rows.start - margin, 0), max(columns.start - margin, 0)
        around = pixels[top : rows.stop + margin, left : columns.stop + margin]
        colours, _ = _grow(np.ascontiguousarray(premultiply(around).transpose(2, 0, 1)), reach)
        part = colours[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        bled = np.zeros((*part.shape[1:], 4), np.uint8)
        bled[..., :3] = to_bytes(part).transpose(1, 2, 0)
        np.copyto(words[rows, columns], bled.view(np.uint32)[..., 0], where=transparent[rows, columns])
    return result


def _beside_edges(alpha: NDArray[np.uint8], side: int) -> Iterator[tuple[slice, slice]]:
    """Rectangles that together hold every transparent pixel with a visible one at most `side` pixels away.

    They begin at multiples of `side`, and are four times as long and as high at most.
    """
    height, width = alpha.shape
    squares = np.pad(alpha, ((0, -height % side), (0, -width % side)), mode="edge")
    squares = squares.reshape(-(-height // side), side, -(-width // side), side)
    needed = dilate(squares.max(axis=1).max(axis=-1) > 0, 1) & (squares.min(axis=1).min(axis=-1) == 0)
    for y in range(0, needed.shape[0], 4):
        for x in range(0, needed.shape[1], 4):
            rows, columns = np.nonzero(needed[y : y + 4, x : x + 4])
            if rows.size:
                top, left = (y + int(rows.min())) * side, (x + int(columns.min())) * side
                bottom, right = (y + int(rows.max()) + 1) * side, (x + int(columns.max()) + 1) * side
                yield slice(top, min(bottom, height)), slice(left, min(right, width))


def _grow(unit: Unit, reach: float) -> tuple[Unit, Unit]:
    """Fill transparent pixels of a premultiplied (4, H, W) image with colour.

    Returns:
        Colours (3, H, W), filled up to `reach` pixels from the nearest visible pixel and black beyond; and where a
        colour is known, bool (H, W).
    """
    _, height, width = unit.shape
    near = np.zeros((4, height + 2, width + 2), np.float32)
    near[:, 1:-1, 1:-1] = unit
    near = near[:, :-2] + near[:, 1:-1] + near[:, 2:]
    near = near[:, :, :-2] + near[:, :, 1:-1] + near[:, :, 2:]
    source = np.where(unit[3] > 0, unit, near)
    known = source[3] > 0
    colours = source[:3] / np.where(known, source[3], 1)
    if reach > 1:
        even = np.pad(unit, ((0, 0), (0, height % 2), (0, width % 2)))
        halved = (even[:, ::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, ::2] + even[:, 1::2, 1::2]) / 4
        far, far_known = _grow(halved, reach / 2)
        far = far.repeat(2, 1).repeat(2, 2)[:, :height, :width]
        colours = np.where(known, colours, far)
        known |= far_known.repeat(2, 0).repeat(2, 1)[:height, :width]
    return colours, known
