"""What a layer is for, in files that do not say, and names that every format can hold."""

from __future__ import annotations

import re
from dataclasses import replace

from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, Role

NAMESPACE = "urn:layerfusion:stack:1"
"""XML namespace of what we add to OpenRaster and to Photoshop's XMP."""

_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def remembered(value: str | None) -> Role | None:
    """The role a file names; None for none, or for one of a later version."""
    return next((role for role in Role if role.value == value), None)


def settled(layer: Layer, role: Role | None, canvas: Size, *, bottom: bool) -> Layer:
    """The layer with the role its file remembers, or with a guess where another program wrote it (our choice): multiply
    is Shadow, add is Light, the lowest is Background, a hidden one that would cover the canvas is Blended, the rest is
    Foreground."""
    if role is None:
        if layer.blend is not BlendMode.NORMAL:
            role = Role.SHADOW if layer.blend is BlendMode.MULTIPLY else Role.LIGHT
        elif bottom:
            role = Role.BACKGROUND
        else:
            role = Role.BLENDED if not layer.visible and _covers(layer, canvas) else Role.FOREGROUND
    return replace(layer, role=role)


def _covers(layer: Layer, canvas: Size) -> bool:
    (x, y), size = layer.offset, layer.size
    reaches = x <= 0 and y <= 0 and x + size.width >= canvas.width and y + size.height >= canvas.height
    return reaches and int(layer.pixels[..., 3].min()) == 255


def writable_name(name: str) -> str:
    """The name without what XML and UTF-16 cannot hold: control characters and halves of characters become “\ufffd”."""
    return _UNWRITABLE.sub("\ufffd", name)
