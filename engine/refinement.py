"""Details for a canvas larger than what the model draws: the enlarged picture drawn over once more, tile by tile.

Every tile is a small job of its own: all streams start from the enlarged layers with a little noise on them (SDEdit:
Meng et al., arXiv 2108.01073), coupled by the alpha that is already known, and are drawn from there. Tiles overlap and
fade into each other; their noise is cut from one sheet a stream, so that neighbours agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.geometry import Size

OVERLAP = 0.25
"""Of a tile's side, at least this much is shared with its neighbour (our choice)."""


@dataclass(frozen=True)
class Tile:
    """A part of a picture, in pixels from its top left."""

    left: int
    top: int
    size: Size

    @property
    def rows(self) -> slice:
        return slice(self.top, self.top + self.size.height)

    @property
    def columns(self) -> slice:
        return slice(self.left, self.left + self.size.width)


def tiles_over(picture: Size, tile: Size, stride: int) -> list[Tile]:
    """Cover a picture with equal tiles, row by row, at places that are multiples of `stride`.

    Args:
        picture: both sides multiples of `stride`.
        tile: multiples of `stride`, at least two strides; it is cut to the picture where that is smaller.
    """
    size = Size(min(tile.width, picture.width), min(tile.height, picture.height))
    return [
        Tile(left, top, size)
        for top in _places(picture.height, size.height, stride)
        for left in _places(picture.width, size.width, stride)
    ]


def _places(length: int, tile: int, stride: int) -> list[int]:
    """Where tiles begin along one side: evenly, overlapping by at least `OVERLAP`, the last one at the end."""
    room = length - tile
    count = 1 + math.ceil(room / max(stride, tile * (1 - OVERLAP))) if room else 1
    places = [round(i * room / max(count - 1, 1) / stride) * stride for i in range(count)]
    return sorted(set(places))


def fade(size: Size, margin: int) -> NDArray[np.float32]:
    """A tile's weight: 1 inside, falling linearly over `margin` pixels at its edges, nowhere 0. (H, W)."""

    def along(length: int) -> NDArray[np.float32]:
        edge = np.minimum(np.arange(length) + 1, length - np.arange(length)) / (margin + 1)
        return np.minimum(edge, 1).astype(np.float32)

    return along(size.height)[:, None] * along(size.width)[None, :]


class Mosaic:
    """Tiles put together, fading into each other.

    Args:
        size: of the picture.
        channels: of a tile.
    """

    def __init__(self, size: Size, channels: int) -> None:
        self._sum = np.zeros((size.height, size.width, channels), np.float32)
        self._weight = np.zeros((size.height, size.width, 1), np.float32)

    def add(self, tile: Tile, values: NDArray[np.uint8]) -> None:
        """Lay one tile, uint8 (tile.size.height, tile.size.width, channels)."""
        weight = fade(tile.size, round(OVERLAP * min(tile.size.width, tile.size.height)))[..., None]
        self._sum[tile.rows, tile.columns] += weight * values
        self._weight[tile.rows, tile.columns] += weight

    def picture(self) -> NDArray[np.uint8]:
        """What lies there, uint8 (H, W, channels); every pixel must have been covered."""
        return np.rint(self._sum / self._weight).astype(np.uint8)


def padded_size(canvas: Size, stride: int) -> Size:
    """The canvas with both sides brought up to multiples of a stride."""
    return Size(math.ceil(canvas.width / stride) * stride, math.ceil(canvas.height / stride) * stride)


def padded(pixels: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """A picture with its right and lower edge repeated until it has this size."""
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, size.height - height), (0, size.width - width), (0, 0)), mode="edge")
