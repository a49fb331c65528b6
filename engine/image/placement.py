"""Putting a picture into a box on the canvas."""

from __future__ import annotations

import numpy as np

from layerfusion.engine.image.geometry import Box, Size
from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.image.resampling import resize

_FAINT = 12
"""Alpha up to this (5 %) is haze, not the object: it does not count when an object's extent is measured."""


def visible_box(pixels: Pixels) -> tuple[int, int, int, int] | None:
    """(left, top, right, bottom) in pixels of what can be seen, right and bottom one past the last; None if nothing."""
    seen = pixels[..., 3] > _FAINT
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if len(rows) == 0:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def fitted(pixels: Pixels, box: Box) -> tuple[Pixels, tuple[int, int]] | None:
    """What can be seen of a picture, scaled to touch a box from within: as large as its shape allows, standing on the
    box's lower edge, in the middle.

    Args:
        pixels: uint8 (H, W, 4), straight alpha; any size.

    Returns:
        uint8 (h, w, 4) and the place (x, y) of its top left pixel on the canvas; None if there is nothing to see.
    """
    seen = visible_box(pixels)
    if seen is None:
        return None
    left, top, right, bottom = seen
    scale = min(box.width / (right - left), box.height / (bottom - top))
    size = Size(max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    scaled = resize(pixels, size, (left, top, right, bottom))
    return scaled, (box.x + (box.width - size.width) // 2, box.y + box.height - size.height)


def in_box(box: Box, canvas: Size) -> Pixels:
    """A canvas that is white and solid in the box, and empty elsewhere: uint8 (H, W, 4)."""
    sheet = np.zeros((canvas.height, canvas.width, 4), np.uint8)
    sheet[box.y : box.y + box.height, box.x : box.x + box.width] = 255
    return sheet
