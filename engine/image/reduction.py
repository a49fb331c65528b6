"""Small versions of images of the canvas's size, made a few rows at a time: large canvases need little memory."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from layerfusion.engine.image.agreement import GAMMA
from layerfusion.engine.image.bands import across, area, down
from layerfusion.engine.image.compositing import to_unit
from layerfusion.engine.image.filters import Plane
from layerfusion.engine.image.layers import Pixels

_LINEAR = ((np.arange(256) / 255) ** GAMMA).astype(np.float32)
"""Linear light of each stored value."""


def linear_mean(picture: Pixels, rows: int, columns: int) -> Plane:
    """The area mean of the linear light of an image, uint8 (H, W, 3 or 4): float32 (rows, columns, 3). Alpha is
    ignored."""
    if picture.shape[:2] == (rows, columns):
        return _LINEAR.take(picture[..., :3])
    vertical, horizontal = area(picture.shape[0], rows), area(picture.shape[1], columns)
    low = np.empty((3, rows, picture.shape[1]), np.float32)
    for row in range(rows):
        part = slice(row, row + 1)
        strip = _LINEAR.take(picture[vertical.reach(part), :, :3])
        low[:, row] = down(vertical, strip.reshape(1, len(strip), -1), part).reshape(-1, 3).T
    return np.ascontiguousarray(across(horizontal, low, slice(0, columns)).transpose(1, 2, 0))


def alpha_mean(alpha: Plane | NDArray[np.uint8], rows: int, columns: int) -> Plane:
    """The area mean of an alpha, uint8 or 0-1 (H, W): float32 (rows, columns), 0-1."""
    vertical, horizontal = area(alpha.shape[0], rows), area(alpha.shape[1], columns)
    result = np.empty((rows, columns), np.float32)
    for part in vertical.blocks():
        mean = down(vertical, unit_alpha(alpha[vertical.reach(part)])[None], part)
        result[part] = across(horizontal, mean, slice(0, columns))[0]
    return result


def unit_alpha(alpha: Plane | NDArray[np.uint8]) -> Plane:
    """An alpha of either kind as float32, 0-1."""
    return to_unit(cast(NDArray[np.uint8], alpha)) if alpha.dtype == np.uint8 else alpha.astype(np.float32)
