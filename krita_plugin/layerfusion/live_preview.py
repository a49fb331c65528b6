"""Scratch layers in a Krita document on which Shadow and Light follow what the artist does to a group.

They lie in the group, on top of its own Shadow and Light, which are hidden meanwhile. Writing their pixels adds nothing
to the undo history; only adding and removing them does.
"""

from __future__ import annotations

from typing import Any

from . import colours, groups, layer_selection
from .images import Picture
from .jobs import ArrivedLayer, Choice, Refusal
from .layer_names import translated
from .nodes import active_layer, box, find, identity
from .qt import QtCore, QtGui
from .scratch import SMALLEST, hidden
from .translation import mark, tr

NAME = mark("Live preview")
FOLLOWING = {"shadow": "multiply", "light": "add"}
"""Role -> blending mode of the layers that follow."""
LOOK = 48
"""Sides in pixels of the thumbnails by which a change is noticed."""


class LivePreview:
    """The scratch layers of one group, from the time when they are made until `end`.

    Args:
        document: Krita's document.

    Raises:
        Refusal: there is no group with a foreground and a background, or the document has other colours.
    """

    def __init__(self, document: Any) -> None:
        if not colours.are_the_servers(document):
            raise Refusal(
                tr("Live needs a document of 8-bit sRGB."), tr("Press Harmonise instead, or convert the document.")
            )
        group = groups.own(document, active_layer(document))
        group = group if group is not None and group.visible() else groups.last(document)
        if group is None:
            raise Refusal(
                tr("There is no picture whose Shadow and Light could follow."), tr("Generate one, or select its group.")
            )
        front = layer_selection.foreground_of(document, group, active_layer(document))
        behind = layer_selection.background_of(document, group)
        self._document = document
        self._group = identity(group)
        self.choice = Choice(identity(front), identity(behind))
        self._hidden = self._hide_own(group)
        with hidden(SMALLEST, document.resolution(), document.colorProfile()) as scratch:
            made = scratch.createGroupLayer(tr(NAME))
            scratch.rootNode().addChildNode(made, None)
            for role, blend in FOLLOWING.items():
                node = scratch.createNode(translated(role.title()), "paintlayer")
                node.setBlendingMode(blend)
                made.addChildNode(node, None)
            made.setPassThroughMode(True)  # so that they blend with what lies below the group
            made.setCollapsed(True)
            copy = made.duplicate()
        self._before = document.activeNode()  # Krita makes the new group active, but only in its next turn
        group.addChildNode(copy, None)
        self._layers = dict(zip(FOLLOWING, copy.childNodes(), strict=True))
        self._preview = identity(copy)

    @property
    def id(self) -> str:
        """The id of the document, see `document.Document.id`."""
        return identity(self._document.rootNode())

    def look(self) -> object | None:
        """A value that changes when the foreground or the background is moved or painted; None if one is gone."""
        facts = []
        for wanted in (self.choice.foreground, self.choice.background, self._preview):
            node = None if wanted is None or self._document.rootNode() is None else find(self._document, wanted)
            if node is None:
                return None
            if wanted != self._preview:
                facts.append((box(node), node.opacity(), node.visible(), _bytes(node.thumbnail(LOOK, LOOK))))
        return tuple(facts)

    def show(self, layers: list[ArrivedLayer], size: tuple[int, int]) -> None:
        """Show a new Shadow and Light.

        Args:
            layers: the layers of a job; those with other roles are ignored.
            size: width and height of the picture in which they were drawn.
        """
        active, before, self._before = self._document.activeNode(), self._before, None
        if active is not None and before is not None and identity(active) == self._preview:
            self._document.setActiveNode(before)
        canvas = self._document.width(), self._document.height()
        for layer in layers:
            node = self._layers.get(layer.begin.role)
            if node is not None:
                picture = layer.picture if size == canvas else _enlarged(layer.picture, size, canvas)
                node.setPixelData(picture.data, picture.x, picture.y, picture.width, picture.height)
                node.setOpacity(round(255 * layer.begin.opacity))
        self._document.refreshProjection()

    def end(self) -> None:
        """Remove the scratch layers, and show the group's own Shadow and Light again."""
        if self._document.rootNode() is None:
            return
        for wanted in self._hidden:
            if (node := find(self._document, wanted)) is not None:
                node.setVisible(True)
        before = self._document.activeNode()
        if (preview := find(self._document, self._preview)) is not None:
            preview.remove()
        if before is not None and find(self._document, identity(before)) is not None:
            self._document.setActiveNode(before)
        self._document.refreshProjection()

    def _hide_own(self, group: Any) -> list[str]:
        record = groups.recall(self._document, group)
        roles = {} if record is None else record.roles
        own = [child for child in group.childNodes() if roles.get(identity(child)) in FOLLOWING and child.visible()]
        for child in own:
            child.setVisible(False)
        return [identity(child) for child in own]


def _enlarged(picture: Picture, size: tuple[int, int], canvas: tuple[int, int]) -> Picture:
    """A picture from a smaller canvas, with Qt's smooth scaling: it is a preview."""
    across, down = canvas[0] / size[0], canvas[1] / size[1]
    width, height = max(1, round(across * picture.width)), max(1, round(down * picture.height))
    image = QtGui.QImage(
        picture.data, picture.width, picture.height, 4 * picture.width, QtGui.QImage.Format.Format_ARGB32
    )
    ignored, smooth = QtCore.Qt.AspectRatioMode.IgnoreAspectRatio, QtCore.Qt.TransformationMode.SmoothTransformation
    scaled = image.scaled(width, height, ignored, smooth).convertToFormat(QtGui.QImage.Format.Format_ARGB32)
    return Picture(round(across * picture.x), round(down * picture.y), width, height, _bytes(scaled))


def _bytes(image: QtGui.QImage) -> bytes:
    pixels: Any = image.constBits()  # PyQt's pointer, which PyQt5's stubs know no further
    pixels.setsize(image.sizeInBytes())
    return bytes(pixels)
