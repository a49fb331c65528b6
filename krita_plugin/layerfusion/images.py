"""Pixels on their way between Krita and the server. Both speak BGRA, so no pixel is ever touched in Python."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """A rectangle of pixels with its place on the canvas.

    Attributes:
        x, y: of the top left pixel, in canvas pixels; may lie outside the canvas.
        width, height: in pixels, at least 1.
        data: B, G, R, A; 8 bits each, straight alpha; rows packed from the top. What Krita calls RGBA/U8.

    Raises:
        ValueError: no pixels, or `data` is not 4 x width x height bytes. Krita would write nothing and say nothing.
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
        """Of the pixels, in lower-case hexadecimal digits: their name on the wire."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def is_opaque(self) -> bool:
        """Whether nothing behind this rectangle shows through."""
        return self.data[3::4].count(255) == self.width * self.height

    @property
    def is_transparent(self) -> bool:
        """Whether nothing of this rectangle shows."""
        return self.data[3::4].count(0) == self.width * self.height
