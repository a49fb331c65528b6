"""What a picture is made of: layers, and the stack that holds them in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from layerfusion.engine.errors import InvalidLayer
from layerfusion.engine.image.geometry import Size

Pixels = NDArray[np.uint8]
"""uint8 (H, W, 4), sRGB, straight (not premultiplied) alpha, 0-255."""


class Role(Enum):
    """What a layer is for. The value is its name in files and on the wire."""

    BACKGROUND = "background"
    FOREGROUND = "foreground"
    SHADOW = "shadow"
    LIGHT = "light"
    BLENDED = "blended"


class BlendMode(Enum):
    """How a layer meets what lies below it; the three modes PSD, OpenRaster and Krita agree on."""

    NORMAL = "normal"
    MULTIPLY = "multiply"
    ADD = "add"


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """One picture layer.

    Attributes:
        name: shown to the artist; any Unicode, 1-255 characters.
        role: what the layer is for.
        pixels: uint8 (H, W, 4), sRGB, straight alpha. Copied and made read-only when the layer is made.
        offset: (x, y) of the top left pixel on the canvas, in pixels; may be negative or beyond the canvas.
        blend: how it meets the layers below.
        opacity: 0-1.
        visible: hidden layers take no part in `LayerStack.flatten`.

    Raises:
        InvalidLayer: pixels of another shape or dtype, no pixels, an empty name, opacity outside 0-1.
    """

    name: str
    role: Role
    pixels: Pixels
    offset: tuple[int, int] = (0, 0)
    blend: BlendMode = BlendMode.NORMAL
    opacity: float = 1.0
    visible: bool = True

    def __post_init__(self) -> None:
        pixels = np.asarray(self.pixels)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 4:
            raise InvalidLayer(
                f"Layer “{self.name}” has {pixels.dtype} pixels of shape {pixels.shape}.",
                "Layers are 8-bit RGBA, shape (height, width, 4).",
            )
        if pixels.shape[0] == 0 or pixels.shape[1] == 0:
            raise InvalidLayer(f"Layer “{self.name}” has no pixels.", "Give a layer at least 1x1 pixels in size.")
        if not 1 <= len(self.name) <= 255:
            raise InvalidLayer(f"A layer name of {len(self.name)} characters.", "Use 1 to 255 characters.")
        if not 0.0 <= self.opacity <= 1.0:
            raise InvalidLayer(f"Layer “{self.name}” has opacity {self.opacity}.", "Opacity lies between 0 and 1.")
        if pixels.flags.writeable or not pixels.flags.c_contiguous:
            pixels = np.array(pixels, order="C", copy=True)
            pixels.setflags(write=False)
        object.__setattr__(self, "pixels", pixels)

    @property
    def size(self) -> Size:
        return Size(self.pixels.shape[1], self.pixels.shape[0])

    def renamed(self, name: str) -> Layer:
        return replace(self, name=name)


def covers(layer: Layer, canvas: Size) -> bool:
    """Whether a layer hides all of a canvas."""
    x, y = layer.offset
    if x > 0 or y > 0 or x + layer.size.width < canvas.width or y + layer.size.height < canvas.height:
        return False
    seen = layer.pixels[-y : canvas.height - y, -x : canvas.width - x, 3]
    return layer.visible and layer.opacity == 1 and bool(seen.min() == 255)


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerStack:
    """Layers of one picture, bottom first.

    Attributes:
        name: the group's name in a document.
        size: the canvas, in pixels.
        layers: bottom first.
    """

    name: str
    size: Size
    layers: tuple[Layer, ...]

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def by_role(self, role: Role) -> tuple[Layer, ...]:
        """The layers of one role, bottom first; empty if there is none."""
        return tuple(layer for layer in self.layers if layer.role is role)

    def with_layer(self, layer: Layer) -> LayerStack:
        """The same stack with `layer` on top."""
        return replace(self, layers=(*self.layers, layer))
