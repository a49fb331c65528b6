"""Pixels that go between Krita and the server. Both use BGRA, so Python never converts a pixel."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """A rectangle of pixels with its position on the canvas.

    Attributes:
        x, y: position of the top left pixel, in canvas pixels; it may be outside the canvas.
        width, height: in pixels, at least 1.
        data: B, G, R, A; 8 bits each, straight alpha; rows from the top, without padding. Krita calls this RGBA/U8.

    Raises:
        ValueError: there are no pixels, or `data` is not 4 x width x height bytes. Krita would ignore such pixels
            without an error.
    """

    x: int
    y: int
    width: int
    height: int
    data: bytes

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 1 or len(self.data) != 4 * self.width * self.height:
            raise ValueError(f"{len(self.data)} bytes for {self.width}x{self.height} pixels")

    @property
    def sha256(self) -> str:
        """SHA-256 of the pixels in lower-case hexadecimal digits, which is their id in the protocol."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def is_opaque(self) -> bool:
        """Whether all pixels are fully opaque."""
        return self.data[3::4].count(255) == self.width * self.height

    @property
    def is_transparent(self) -> bool:
        """Whether all pixels are fully transparent."""
        return self.data[3::4].count(0) == self.width * self.height

    def strips(self, size: int) -> Iterator[Picture]:
        """The picture in parts of whole rows, from the top, each of at most `size` bytes or else one row."""
        row = 4 * self.width
        rows = max(1, size // row)
        for top in range(0, self.height, rows):
            count = min(rows, self.height - top)
            yield Picture(self.x, self.y + top, self.width, count, self.data[row * top : row * (top + count)])
