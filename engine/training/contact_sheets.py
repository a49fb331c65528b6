"""Contact sheets of what a network draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def contact_sheet(rows: Sequence[NDArray[np.floating]], gap: int = 2) -> Image.Image:
    """Rows of pictures (N, H, W, 3), -1..1, as one picture."""
    height, width = rows[0].shape[1:3]
    columns = max(len(row) for row in rows)
    sheet = np.full((len(rows) * (height + gap), columns * (width + gap), 3), 127, np.uint8)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            top, left = y * (height + gap), x * (width + gap)
            sheet[top : top + height, left : left + width] = ((picture.clip(-1, 1) + 1) * 127.5).round()
    return Image.fromarray(sheet)


def over_checks(rgba: NDArray[np.floating], cell: int = 8) -> NDArray[np.floating]:
    """RGBA (N, H, W, 4), 0-1, straight alpha, over a grey chequerboard: (N, H, W, 3), -1..1."""
    rows, columns = np.mgrid[0 : rgba.shape[1], 0 : rgba.shape[2]] // cell
    board = np.where((rows + columns) % 2, 0.72, 0.9).astype(np.float32)[None, ..., None]
    return (rgba[..., :3] * rgba[..., 3:] + board * (1 - rgba[..., 3:])) * 2 - 1
