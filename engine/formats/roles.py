"""Layer roles in files, guessed where a file does not state them, and layer names that every format can store."""

from __future__ import annotations

import re
from dataclasses import replace

from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, Role

NAMESPACE = "urn:layerfusion:stack:1"
"""XML namespace of our additions to OpenRaster's `stack.xml` and to Photoshop's XMP."""

_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse_role(value: str | None) -> Role | None:
    """The role that a file states; None if it states none, or one that only a later version of LayerFusion knows."""
    return next((role for role in Role if role.value == value), None)


def with_role(layer: Layer, role: Role | None, canvas: Size, *, bottom: bool) -> Layer:
    """The layer with the given role, or with a guessed role if `role` is None.

    The guess (our choice): a layer in mode multiply is Shadow, in mode add Light; the lowest layer is Background; a
    hidden layer that is opaque and covers the canvas is Blended; every other layer is Foreground.
    """
    if role is None:
        if layer.blend is not BlendMode.NORMAL:
            role = Role.SHADOW if layer.blend is BlendMode.MULTIPLY else Role.LIGHT
        elif bottom:
            role = Role.BACKGROUND
        else:
            role = Role.BLENDED if not layer.visible and _covers(layer, canvas) else Role.FOREGROUND
    return replace(layer, role=role)


def _covers(layer: Layer, canvas: Size) -> bool:
    """Whether the layer is opaque everywhere and reaches every edge of the canvas."""
    (x, y), size = layer.offset, layer.size
    reaches = x <= 0 and y <= 0 and x + size.width >= canvas.width and y + size.height >= canvas.height
    return reaches and int(layer.pixels[..., 3].min()) == 255


def writable_name(name: str) -> str:
    """The name with each character that XML or UTF-16 cannot store (control characters, lone surrogates) replaced by
    “\ufffd”."""
    return _UNWRITABLE.sub("\ufffd", name)
