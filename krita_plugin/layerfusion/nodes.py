"""Reads Krita's nodes, which are layers and masks on layers. Nothing here changes a node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .images import Picture
from .jobs import Refusal

READABLE = ("paintlayer", "grouplayer", "vectorlayer", "filelayer", "clonelayer", "filllayer")

MAX_PIXELS = 4096 * 4096
"""The most pixels of one layer that a server accepts; a layer may reach far beyond the canvas."""


def identity(node: Any) -> str:
    """The unique id of a node, which stays the same when it is moved, renamed, undone, saved and opened."""
    return node.uniqueId().toString()


def walk(node: Any) -> Iterator[Any]:
    """All nodes in a node, bottom first; a group comes before its children."""
    for child in node.childNodes():
        yield child
        yield from walk(child)


def find(document: Any, wanted: str) -> Any | None:
    """The node of a document with a unique id; None if it is not there any more."""
    return next((node for node in walk(document.rootNode()) if identity(node) == wanted), None)


def is_mask(node: Any) -> bool:
    return node.type().endswith("mask")


def active_layer(document: Any) -> Any | None:
    """The active layer, or the layer of the active mask. None directly after a document was opened."""
    node = document.activeNode()
    while node is not None and is_mask(node):
        node = node.parentNode()
    return node


def is_shown(node: Any) -> bool:
    """Whether a node and all groups around it are visible."""
    while node is not None:
        if not node.visible():
            return False
        node = node.parentNode()
    return True


def is_empty(node: Any) -> bool:
    return node.bounds().isEmpty()


def hides_all(document: Any, node: Any) -> bool:
    """Whether a layer is opaque on the whole canvas."""
    if node.type() not in READABLE or not _is_8_bit_rgb(node):
        return False
    return _read(node, 0, 0, document.width(), document.height()).is_opaque


def _is_8_bit_rgb(node: Any) -> bool:
    return (node.colorModel(), node.colorDepth()) == ("RGBA", "U8")


def read(document: Any, node: Any) -> Picture:
    """A layer's pixels on the canvas and beyond it, as far as the layer reaches.

    If that is more than `MAX_PIXELS`, only the pixels on the canvas are read.

    Raises:
        Refusal: its pixels cannot be read, it is hidden, it is empty, or it has no pixels on the canvas.
    """
    name = node.name()
    if node.type() not in READABLE:
        raise Refusal(
            f"The layer “{name}” has no pixels of its own.",
            "Select a paint, group, vector, clone, fill or file layer.",
        )
    if not _is_8_bit_rgb(node):
        raise Refusal(
            f"The layer “{name}” is not 8-bit RGB.", "Convert it: Layer ▸ Convert ▸ Convert Layer Color Space…"
        )
    if not node.visible():
        raise Refusal(f"The layer “{name}” is hidden.", "Show it, or select another layer.")
    if is_empty(node):
        raise Refusal(f"The layer “{name}” is empty.", "Select the layer to keep.")
    on_canvas = _read(node, 0, 0, document.width(), document.height())
    if on_canvas.is_transparent:
        raise Refusal(
            f"The layer “{name}” is completely outside the canvas.", "Move it onto the canvas, or select another layer."
        )
    reach = _reach(document, node)
    return _read(node, *reach) if _pixels(reach) <= MAX_PIXELS else on_canvas


def _reach(document: Any, node: Any) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the box around the canvas and the layer, in canvas pixels."""
    bounds = node.bounds()
    return (
        min(0, bounds.x()),
        min(0, bounds.y()),
        max(document.width(), bounds.x() + bounds.width()),
        max(document.height(), bounds.y() + bounds.height()),
    )


def _pixels(reach: tuple[int, int, int, int]) -> int:
    left, top, right, bottom = reach
    return (right - left) * (bottom - top)


def _read(node: Any, left: int, top: int, right: int, bottom: int) -> Picture:
    box = left, top, right - left, bottom - top
    return Picture(*box, bytes(node.projectionPixelData(*box)))


def losses(document: Any, node: Any) -> Iterator[str]:
    """Properties of a layer that a copy of its projection does not have, each in a few words."""
    if any(is_mask(child) and child.visible() for child in node.childNodes()):
        yield "its masks (their effect becomes part of the pixels)"
    if node.opacity() != 255:
        yield f"its opacity of {round(node.opacity() / 2.55)} %"
    if node.blendingMode() != "normal":
        yield f"its blending mode “{node.blendingMode()}”"
    if node.inheritAlpha():
        yield "its inherited alpha"
    if node.layerStyleToAsl():
        yield "its layer style"
    if node.colorProfile() != document.colorProfile():
        yield f"its profile “{node.colorProfile()}” (its colours will look different)"
    if _pixels(_reach(document, node)) > MAX_PIXELS:
        yield "the parts outside the canvas"
