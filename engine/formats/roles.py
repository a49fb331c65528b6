"""Layer roles in files, guessed where a file does not state them, and layer names that every format can store."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Role

NAMESPACE = "urn:layerfusion:stack:1"
"""XML namespace of our additions to OpenRaster's `stack.xml` and to Photoshop's XMP."""

_OUR_NAMES = re.compile(
    r"(Background|Foreground|Shadow|Light|Blended)(?: \d+|, filled in| \(relit\)| \(exact, this arrangement\))?"
)

_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse_role(value: str | None) -> Role | None:
    """The role that a file states; None if it states none, or one that only a later version of LayerFusion knows."""
    return next((role for role in Role if role.value == value), None)


def matching(wanted: str, named: Sequence[tuple[str, Role | None]]) -> int | None:
    """Which layer of a document a name or a role means; None if none or several.

    Args:
        wanted: the name, else the name in any case, or the role.
        named: name and role of each layer; None where the role is not known.
    """
    exact = [number for number, (name, _) in enumerate(named) if name == wanted]
    folded = wanted.casefold()
    alike = [
        number
        for number, (name, role) in enumerate(named)
        if name.casefold() == folded or (role is not None and role.value == folded)
    ]
    found = exact or alike
    return found[0] if len(found) == 1 else None


def grouped(stack: LayeredImage) -> range:
    """The layers that a document puts into a group, bottom first; empty if it has no group.

    Blended stays beside the group. With the group alone at the root, Krita up to 5.2 takes the opaque picture for a
    flat one and saves a PSD without layers. Without Blended, or with Blended between other layers, there is no group.
    """
    blended = [layer.role is Role.BLENDED for layer in stack]
    if any(blended) and not all(blended):
        inside = range(blended.index(False), len(blended) - blended[::-1].index(False))
        if not any(blended[index] for index in inside):
            return inside
    return range(0)


def companion() -> Layer:
    """An empty hidden layer that documents of a single layer get: Krita, see `grouped`, loses a layer that is alone."""
    nothing = np.zeros((1, 1, 4), np.uint8)
    return Layer(name="Empty, so that Krita keeps the layer", role=Role.LIGHT, pixels=nothing, visible=False)


def without_companion(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers without the one that `companion` makes."""
    name = companion().name
    return tuple(layer for layer in layers if layer.name != name or layer.pixels[..., 3].any())


def title_of(children: Sequence[tuple[str, bool]]) -> str:
    """The title of a document whose root holds `children`, each by its name and whether it is a group.

    It is the name of the group that holds all layers, or all but Blended; empty if there is none.
    """
    groups = [name for name, is_group in children if is_group]
    beside = [name for name, is_group in children if not is_group]
    return groups[0] if len(groups) == 1 and all(name == "Blended" for name in beside) else ""


def with_role(layer: Layer, role: Role | None, canvas: Size, *, bottom: bool) -> Layer:
    """The layer with the given role, or with a guessed role if `role` is None.

    The guess (our choice): the role that our own layers of this name have, if the layer's blend mode fits it; else a
    layer in mode multiply is Shadow, in mode add Light; the lowest layer is Background; a hidden layer that is opaque
    and covers the canvas is Blended; every other layer is Foreground.
    """
    role = role or _role_of_name(layer)
    if role is None:
        if layer.blend is not BlendMode.NORMAL:
            role = Role.SHADOW if layer.blend is BlendMode.MULTIPLY else Role.LIGHT
        elif bottom:
            role = Role.BACKGROUND
        else:
            role = Role.BLENDED if not layer.visible and _covers(layer, canvas) else Role.FOREGROUND
    return replace(layer, role=role)


def _role_of_name(layer: Layer) -> Role | None:
    """The role of a layer that has one of our names and the blend mode that we give to such layers."""
    match = _OUR_NAMES.fullmatch(layer.name)
    if match is None:
        return None
    role = Role(match[1].lower())
    blend = {Role.SHADOW: BlendMode.MULTIPLY, Role.LIGHT: BlendMode.ADD}.get(role, BlendMode.NORMAL)
    return role if layer.blend is blend else None


def _covers(layer: Layer, canvas: Size) -> bool:
    """Whether the layer is opaque everywhere and reaches every edge of the canvas."""
    (x, y), size = layer.offset, layer.size
    reaches = x <= 0 and y <= 0 and x + size.width >= canvas.width and y + size.height >= canvas.height
    return reaches and int(layer.pixels[..., 3].min()) == 255


def writable_name(name: str) -> str:
    """The name with each character that XML or UTF-16 cannot store (control characters, lone surrogates) replaced by
    “\ufffd”."""
    return _UNWRITABLE.sub("\ufffd", name)
