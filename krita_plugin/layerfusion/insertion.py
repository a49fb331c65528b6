"""Adds a group of layers to a document: in one undo entry, and in steps that are short enough to go on painting.

The group is made in a hidden document, where Krita also converts it to the colours and the size of the artist's
document. Every node that is made for a document adds entries to its undo history, also if it is not added yet;
a duplicate of the finished group adds just one.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from . import groups
from .jobs import ArrivedLayer, DocumentClosed, Inserted, Placement
from .nodes import find, identity
from .qt import QtCore
from .scratch import hidden, until_done

STEP_BYTES = 2**22
"""Pixels that are written in one step; Krita copies some hundred megabytes in a second."""


def insert(
    document: Any, placement: Placement, name: str, layers: list[ArrivedLayer], values: dict[str, Any]
) -> Generator[None, None, Inserted]:
    """Add a group of layers to a document, step by step.

    Args:
        document: Krita's document.
        placement: where to add it; if that place no longer exists, it is added at the top of the document.
        name: the name of the group.
        layers: the layers, bottom first.
        values: what to save in the document about the group, as JSON values.

    Raises:
        DocumentClosed: the document was closed meanwhile.
    """
    with hidden((document.width(), document.height()), document.resolution(), document.colorProfile()) as scratch:
        made = scratch.createGroupLayer(name)
        scratch.rootNode().addChildNode(made, None)
        for layer in layers:
            yield from _add(scratch, made, layer)
        yield from until_done(scratch)  # so that the duplicate has a projection, and Krita shows it without a refresh
        if document.rootNode() is None:
            raise DocumentClosed
        group = made.duplicate()
    yield
    before = document.activeNode()
    parent = find(document, placement.parent) or document.rootNode()
    above = next((child for child in parent.childNodes() if identity(child) == placement.above), None)
    if above is not None:
        above = groups.topmost_on(document, above)  # other results may have been added meanwhile
    parent.addChildNode(group, above)
    text = groups.as_text(values, group, [layer.begin.role for layer in layers])
    document.setAnnotation(groups.name_of(group), "LayerFusion", QtCore.QByteArray(text.encode()))
    yield  # Krita makes the new group the active layer when it handles its own events
    return _activate(document, placement, group, before, layers)


def _add(scratch: Any, group: Any, layer: ArrivedLayer) -> Iterator[None]:
    """Add one layer on top of a group."""
    begin, picture = layer.begin, layer.picture
    node = scratch.createNode(begin.name, "paintlayer")
    for part in picture.strips(STEP_BYTES):
        node.setPixelData(part.data, part.x, part.y, part.width, part.height)
        yield
    node.setBlendingMode(begin.blend)
    node.setOpacity(round(255 * begin.opacity))
    node.setVisible(begin.visible)
    group.addChildNode(node, None)
    yield


def _activate(
    document: Any, placement: Placement, group: Any, before: Any | None, layers: list[ArrivedLayer]
) -> Inserted:
    """Make the counterpart of the layer active at the press active, unless the artist has chosen another since then."""
    if before is not None and identity(before) != placement.active:
        document.setActiveNode(before)
        return Inserted(active=None)
    with_role = [
        node
        for node, layer in zip(group.childNodes(), layers, strict=True)
        if layer.begin.role == placement.role and layer.begin.visible
    ]
    chosen = with_role[-1] if with_role else group
    document.setActiveNode(chosen)
    return Inserted(active=identity(chosen))
