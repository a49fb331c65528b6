"""Pixels that go between Krita and the server. Both use BGRA, so Python never converts a pixel."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

_INVERTED = bytes(range(255, -1, -1))


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

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the pixels in lower-case hexadecimal digits, which is their id in the protocol.

        It is computed once: for a layer of 4000x3000 px it takes some 25 ms, and Krita's window waits.
        """
        return hashlib.sha256(self.data).hexdigest()

    def is_empty_on(self, width: int, height: int) -> bool:
        """Whether all pixels on a canvas of that size are fully transparent."""
        left, right = max(0, -self.x), min(self.width, width - self.x)
        top, bottom = max(0, -self.y), min(self.height, height - self.y)
        if left >= right:
            return True
        starts = (4 * row * self.width for row in range(top, bottom))
        alphas = (self.data[start + 4 * left + 3 : start + 4 * right : 4] for start in starts)
        return not any(any(alpha) for alpha in alphas)

    def erased(self, mask: bytes) -> Picture:
        """The picture without what a mask covers: alpha is multiplied by its inverse.

        Args:
            mask: one byte for each pixel, in rows from the top; 255 erases a pixel, 0 leaves it as it is.
        """
        alpha = self.data[3::4]
        if len(mask) != len(alpha):
            raise ValueError(f"{len(mask)} bytes of a mask for {len(alpha)} pixels")
        if alpha.count(255) == len(alpha):  # as in most backgrounds; byte by byte takes seconds for large ones
            left = mask.translate(_INVERTED)
        else:
            left = bytes((a * (255 - m) + 127) // 255 for a, m in zip(alpha, mask, strict=True))
        data = bytearray(self.data)
        data[3::4] = left
        return Picture(self.x, self.y, self.width, self.height, bytes(data))

    def strips(self, size: int) -> Iterator[Picture]:
        """The picture in parts of whole rows, from the top, each of at most `size` bytes or else one row."""
        row = 4 * self.width
        rows = max(1, size // row)
        for top in range(0, self.height, rows):
            count = min(rows, self.height - top)
            yield Picture(self.x, self.y + top, self.width, count, self.data[row * top : row * (top + count)])


def same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether one size is the other one, enlarged or reduced; sides are rounded to pixels."""
    across, down = other[0] / one[0], other[1] / one[1]
    return abs(across * one[1] - other[1]) <= 1 or abs(down * one[0] - other[0]) <= 1
