"""Boxes on the canvas: scaling an image so that it fills one, and boxes for foregrounds without a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from layerfusion.engine.image.geometry import MIN_BOX_SIDE, Box, Size
from layerfusion.engine.image.layers import Layer, Pixels
from layerfusion.engine.image.resampling import resize
from layerfusion.engine.image.shape import INSIDE, Shape

_MAX_INVISIBLE_ALPHA = 12
"""Pixels with alpha up to this value (5 %) do not count as part of the object when its extent is measured."""

_MARGIN = 0.04
"""Room between boxes, and between boxes and the canvas's sides, as a fraction of the canvas's width (our choice)."""

_SMALLER = 0.85
"""The width and height of a box, as a fraction of those of the box before (our choice)."""

_TALLEST, _FOOT = 0.72, 0.92
"""The height of the first box and the lower edge of all, as fractions of the canvas's height (our choice)."""

_LEAST_GAP = 0.2
"""A gap between objects that is narrower than this, as a fraction of the canvas's width, is no place for others."""


_GRID, _TRIES, _SHRINK = 96, 30, 0.94
"""Cells along the longer side of a box, and the sizes that are tried when an object is fitted into a shape."""

_FITS, _EVEN = 0.985, 0.002
"""How much of an object lies inside a shape if it fits; places that differ by less are equally good."""


def side_by_side(count: int, canvas: Size, taken: Sequence[tuple[int, int]] = ()) -> list[Box] | None:
    """Boxes for objects without a place: from left to right, each a little smaller, all on one line (our choice).

    Args:
        count: number of boxes, at least 1.
        canvas: the canvas.
        taken: (left, right) in pixels of the objects that have a place. The boxes then lie in the widest gap between
            them, if it is wide enough, and over the whole width otherwise.

    Returns:
        The boxes; None if the canvas is too small for them.
    """
    left, right = _widest_gap(canvas.width, taken)
    margin = _MARGIN * canvas.width
    room = right - left - (count + 1) * margin
    shares = [_SMALLER**place for place in range(count)]
    boxes, x, foot = [], left + margin, round(_FOOT * canvas.height)
    for share in shares:
        width, height = room * share / sum(shares), round(_TALLEST * share * canvas.height)
        if min(int(width), height) < MIN_BOX_SIDE:
            return None
        boxes.append(Box(round(x), foot - height, int(width), height))
        x += width + margin
    return boxes


def _widest_gap(width: int, taken: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The widest part of 0 … width that is not taken; all of it if that is too narrow."""
    best, reached = (0, 0), 0
    for left, right in [*sorted(taken), (width, width)]:
        if left - reached > best[1] - best[0]:
            best = (reached, left)
        reached = max(reached, right)
    return best if best[1] - best[0] >= _LEAST_GAP * width else (0, width)


def visible_box(pixels: Pixels) -> tuple[int, int, int, int] | None:
    """The bounding box of the visible pixels, (left, top, right, bottom) with right and bottom exclusive; None if there
    are none."""
    visible = pixels[..., 3] > _MAX_INVISIBLE_ALPHA
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    if len(rows) == 0:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def on_canvas(layer: Layer, size: Size) -> Layer:
    """The layer with pixels of exactly the canvas's size, so that it lies at (0, 0).

    What lies outside the canvas is cut off; where the layer has no pixels, the result is transparent black.
    """
    pixels = np.zeros((size.height, size.width, 4), np.uint8)
    (x, y), (height, width) = layer.offset, layer.pixels.shape[:2]
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, size.width), min(y + height, size.height)
    if left < right and top < bottom:
        pixels[top:bottom, left:right] = layer.pixels[top - y : bottom - y, left - x : right - x]
    return replace(layer, pixels=pixels, offset=(0, 0))


def fitted(pixels: Pixels, box: Box) -> tuple[Pixels, tuple[int, int]] | None:
    """Crop an image to its visible part and scale it uniformly to the largest size that fits into a box.

    The result stands on the box's lower edge, horizontally centred.

    Args:
        pixels: uint8 (H, W, 4), straight alpha; any size.
        box: the place on the canvas.

    Returns:
        uint8 (h, w, 4) and the coordinates (x, y) of its top left pixel on the canvas; None if nothing is visible.
    """
    visible = visible_box(pixels)
    if visible is None:
        return None
    left, top, right, bottom = visible
    scale = min(box.width / (right - left), box.height / (bottom - top))
    size = Size(max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    scaled = resize(pixels, size, (left, top, right, bottom))
    return scaled, (box.x + (box.width - size.width) // 2, box.y + box.height - size.height)


def fitted_in(pixels: Pixels, box: Box, shape: Shape) -> tuple[Pixels, tuple[int, int]] | None:
    """Crop an image to its visible part and scale it so that nearly all of it lies inside a shape (our choice).

    It is tried at smaller and smaller sizes, each at all places at once (a correlation by FFT): the first that fits is
    taken, as far down as it goes. If none fits, it is the one of which most lies inside.

    Args:
        pixels: uint8 (H, W, 4), straight alpha; any size.
        box: the place on the canvas over which the shape is stretched.
        shape: the shape.

    Returns:
        As `fitted`.
    """
    visible = visible_box(pixels)
    if visible is None:
        return None
    left, top, right, bottom = visible
    unit = max(box.width, box.height) / _GRID  # pixels of the canvas in a cell
    grid = Size(max(1, round(box.width / unit)), max(1, round(box.height / unit)))
    region = (shape.over(Box(0, 0, box.width, box.height), Size(box.width, box.height)) > INSIDE).astype(np.uint8)
    cells = np.repeat(region[..., None] * np.uint8(255), 4, axis=2)
    cells[..., 3] = 255
    inside = resize(cells, grid)[..., 0] / 255.0
    spectrum = np.fft.rfft2(inside)
    whole, best = min(box.width / (right - left), box.height / (bottom - top)), (0.0, 1.0, 0, 0)
    for scale in whole * _SHRINK ** np.arange(_TRIES):
        size = Size(*(max(1, round(side * scale / unit)) for side in (right - left, bottom - top)))
        if size.width > grid.width or size.height > grid.height:
            continue
        outline = np.zeros(inside.shape)
        outline[: size.height, : size.width] = resize(pixels, size, (left, top, right, bottom))[..., 3]
        covered = np.fft.irfft2(spectrum * np.conj(np.fft.rfft2(outline)), inside.shape) / max(outline.sum(), 1.0)
        covered = covered[: grid.height - size.height + 1, : grid.width - size.width + 1]
        share = float(covered.max())
        if share > best[0]:
            rows, columns = np.nonzero(covered >= share - _EVEN)
            lowest = rows == rows.max()
            x = columns[lowest][len(columns[lowest]) // 2]
            best = share, float(scale), int(x), int(rows.max())
        if share >= _FITS:
            break
    _, scale, x, y = best
    size = Size(max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    scaled = resize(pixels, size, (left, top, right, bottom))
    return scaled, (box.x + round(x * unit), box.y + round(y * unit))


def in_box(box: Box, canvas: Size) -> Pixels:
    """A canvas that is opaque white inside the box and fully transparent outside: uint8 (H, W, 4)."""
    pixels = np.zeros((canvas.height, canvas.width, 4), np.uint8)
    pixels[box.y : box.y + box.height, box.x : box.x + box.width] = 255
    return pixels
