"""The shape of a region in a box, as an artist has drawn it with a lasso; its edges may be soft."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.image.geometry import Box, Size
from layerfusion.engine.image.resampling import resize

MAX_SHAPE_SIDE = 256
"""Pixels of a shape's longer side (our choice): a model draws the region with fewer latents than that."""

MAX_SHAPE_TEXT = 100_000
"""Characters of a shape as text."""

INSIDE = 127
"""A pixel with more than this is inside; as much of a soft edge as that is, an object may fill."""

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Shape:
    """A mask that is stretched over a box.

    Attributes:
        width, height: 1 to 256.
        alpha: one byte for each pixel, in rows from the top: 0 is outside, 255 inside, what lies between fades.

    Raises:
        InvalidRequest: a side is out of range, there are more or fewer bytes, or nothing is inside.
    """

    width: int
    height: int
    alpha: bytes

    def __post_init__(self) -> None:
        if not (1 <= self.width <= MAX_SHAPE_SIDE and 1 <= self.height <= MAX_SHAPE_SIDE):
            raise InvalidRequest(
                f"The shape of a foreground is {self.width}x{self.height} px.",
                f"Give 1 to {MAX_SHAPE_SIDE} px for each side; it is stretched over the box.",
            )
        if len(self.alpha) != self.width * self.height:
            raise InvalidRequest(
                f"The shape of a foreground has {len(self.alpha)} bytes, and {self.width}x{self.height} px.",
                "Give one byte for each pixel.",
            )
        if max(self.alpha) <= INSIDE:
            raise InvalidRequest("The shape of a foreground has nothing inside.", "Choose a region that is not empty.")

    @classmethod
    def of(cls, mask: Mask) -> Shape:
        """The shape of a mask uint8 (H, W) of any size."""
        height, width = mask.shape
        part = min(1.0, MAX_SHAPE_SIDE / max(width, height))
        return cls(*(size := _rounded(part * width, part * height)), _scaled(mask, Size(*size)).tobytes())

    @classmethod
    def from_text(cls, text: str) -> Shape:
        """The shape that `text` describes: width, "x", height, ":" and the Base64 of its bytes, compressed by zlib.

        Raises:
            InvalidRequest: the text is no shape.
        """
        found = re.fullmatch(r"(\d{1,3})x(\d{1,3}):([A-Za-z0-9+/=]*)", text) if len(text) <= MAX_SHAPE_TEXT else None
        try:
            if found is None:
                raise ValueError("no shape")
            width, height = int(found[1]), int(found[2])
            most = width * height + 1  # however much more it would become
            alpha = zlib.decompressobj().decompress(base64.b64decode(found[3], validate=True), most)
        except (ValueError, binascii.Error, zlib.error):
            raise InvalidRequest(
                f"The shape of a foreground is {text[:40]!r}.",
                "Write WIDTHxHEIGHT:DATA, where DATA is the Base64 of one byte for each pixel, compressed by zlib.",
            ) from None
        return cls(width, height, alpha)

    @property
    def text(self) -> str:
        """See `from_text`."""
        return f"{self.width}x{self.height}:{base64.b64encode(zlib.compress(self.alpha, 9)).decode()}"

    @property
    def mask(self) -> Mask:
        """uint8 (height, width)."""
        return np.frombuffer(self.alpha, np.uint8).reshape(self.height, self.width)

    def over(self, box: Box, canvas: Size) -> Mask:
        """The shape in a box on a canvas, uint8 (H, W); 0 outside of the box."""
        whole = np.zeros((canvas.height, canvas.width), np.uint8)
        scaled = _scaled(self.mask, Size(box.width, box.height))
        whole[box.y : box.y + box.height, box.x : box.x + box.width] = scaled
        return whole


def _rounded(width: float, height: float) -> tuple[int, int]:
    return max(1, round(width)), max(1, round(height))


def _scaled(mask: Mask, size: Size) -> Mask:
    """A mask at another size. Its four equal channels are scaled as an opaque picture's colours are."""
    if mask.shape == (size.height, size.width):
        return mask
    sheet = np.repeat(mask[..., None], 4, axis=2)
    sheet[..., 3] = 255
    return resize(np.ascontiguousarray(sheet), size)[..., 0]
