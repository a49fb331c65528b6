"""Reads Krita's nodes, which are layers and masks on layers. Nothing here changes a node, but for `show`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import colours
from .images import Picture
from .jobs import Refusal, Remedy
from .translation import tr

READABLE = ("paintlayer", "grouplayer", "vectorlayer", "filelayer", "clonelayer", "filllayer")

MAX_PIXELS = 4096 * 4096
"""The most pixels of one layer that a server accepts; a layer may reach far beyond the canvas."""

LOOKED_AT = 48
"""Rows of a layer that are looked at to tell whether it is opaque."""


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
    """Whether a layer is opaque on the whole canvas, as far as some rows of it tell: reading all takes too long."""
    if node.type() not in READABLE:
        return False
    width, height, depth = document.width(), document.height(), node.colorDepth()
    rows = {round(part * (height - 1) / (LOOKED_AT - 1)) for part in range(LOOKED_AT)}
    return all(
        colours.are_opaque(bytes(node.projectionPixelData(0, row, width, 1)), depth, width) for row in sorted(rows)
    )


def check_readable(document: Any, node: Any) -> None:
    """Raise `Refusal` if a layer has no pixels, is hidden, is empty, or lies completely outside the canvas."""
    name = node.name()
    if node.type() not in READABLE:
        raise Refusal(
            tr("The layer “{layer}” has no pixels of its own.", layer=name),
            tr("Select a paint, group, vector, clone, fill or file layer."),
        )
    if not node.visible():
        remedy = Remedy(tr("Show it"), lambda: show(document, node))
        raise Refusal(tr("The layer “{layer}” is hidden.", layer=name), tr("Show it, or select another layer."), remedy)
    if is_empty(node):
        raise Refusal(tr("The layer “{layer}” is empty.", layer=name), tr("Select the layer to keep."))
    left, top, right, bottom = box(node)
    if right <= 0 or bottom <= 0 or left >= document.width() or top >= document.height():
        raise outside_the_canvas(node)


def outside_the_canvas(node: Any) -> Refusal:
    return Refusal(
        tr("The layer “{layer}” is completely outside the canvas.", layer=node.name()),
        tr("Move it onto the canvas, or select another layer."),
    )


def read(document: Any, node: Any) -> Picture:
    """The pixels of a layer in 8-bit sRGB on the canvas and beyond it, as far as the layer reaches.

    If that is more than `MAX_PIXELS`, only the pixels on the canvas are read.
    """
    whole = reach(document, node)
    left, top, right, bottom = whole
    large = (right - left) * (bottom - top) > MAX_PIXELS
    return _read(node, *((0, 0, document.width(), document.height()) if large else whole))


def show(document: Any, node: Any) -> None:
    """Make a layer visible, as its eye icon does."""
    node.setVisible(True)
    document.refreshProjection()


def box(node: Any) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the pixels of a layer, in canvas pixels."""
    bounds = node.bounds()
    return bounds.x(), bounds.y(), bounds.x() + bounds.width(), bounds.y() + bounds.height()


def reach(document: Any, node: Any) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the box around the canvas and the layer, in canvas pixels."""
    left, top, right, bottom = box(node)
    return min(0, left), min(0, top), max(document.width(), right), max(document.height(), bottom)


def _read(node: Any, left: int, top: int, right: int, bottom: int) -> Picture:
    box = left, top, right - left, bottom - top
    return Picture(*box, bytes(node.projectionPixelData(*box)))
