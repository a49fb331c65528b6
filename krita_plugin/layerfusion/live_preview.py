"""Shows on a group's own Shadow and Light what follows from what the artist does to its other layers.

Adding a layer and removing it again would be two entries of the undo history. Writing pixels is none, so that the
group's own layers show the preview, and get their pixels back at the end. They are never given back over what the
artist has painted on them meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import colours, groups, layer_selection
from .images import Picture
from .jobs import ArrivedLayer, Choice, Refusal
from .nodes import active_layer, box, find, identity
from .qt import QtCore, QtGui
from .strokes import Stroke
from .translation import tr

FOLLOWING = ("shadow", "light")
"""The roles of the layers that follow."""
LOOK = 48
"""Sides in pixels of the thumbnails by which a change is noticed."""


class LivePreview:
    """Shadow and Light of one group, from the time when they are borrowed until `end`.

    Args:
        document: Krita's document.

    Raises:
        Refusal: there is no group with a foreground, a background and Shadow or Light, or the document has other
            colours.
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
        record = groups.recall(document, group)
        roles = {} if record is None else record.roles
        own = {roles.get(identity(child)): child for child in group.childNodes()}
        front = layer_selection.foreground_of(document, group, active_layer(document))
        behind = layer_selection.background_of(document, group)
        self._document = document
        self._stroke = Stroke(document)
        self.choice = Choice(identity(front), identity(behind))
        self._watched = [identity(each) for each in (*layer_selection.foregrounds_of(document, group, front), behind)]
        self._layers = {role: _Borrowed.of(own[role]) for role in FOLLOWING if role in own}
        if not self._layers:
            raise Refusal(
                tr("“{name}” has no Shadow and no Light that could follow.", name=group.name()),
                tr("Press Harmonise, which draws them."),
            )
        for borrowed in self._layers.values():
            borrowed.node.setVisible(True)
        self._written = _written_at(document)

    @property
    def id(self) -> str:
        """The id of the document, see `document.Document.id`."""
        return identity(self._document.rootNode())

    def waits(self) -> bool:
        """Whether the artist is in the middle of a stroke, which the other methods but `end` would cut."""
        return self._stroke.going_on()

    def look(self) -> object | None:
        """A value that changes when a foreground or the background is moved or painted; None if what Live works on is
        gone."""
        if self._document.rootNode() is None:
            return None
        facts: list[object] = []
        for watched in self._watched:
            node = find(self._document, watched)
            if node is not None:
                facts.append((box(node), node.opacity(), node.visible(), _bytes(node.thumbnail(LOOK, LOOK))))
            elif watched in (self.choice.foreground, self.choice.background):
                return None
            else:
                facts.append(None)  # a further foreground was deleted
        there = all(find(self._document, identity(each.node)) is not None for each in self._layers.values())
        return tuple(facts) if there else None

    def touched(self) -> bool:
        """Whether the artist has painted on Shadow or Light, or moved it."""
        return any(each.touched() for each in self._layers.values())

    def show(self, layers: list[ArrivedLayer], size: tuple[int, int]) -> None:
        """Show a new Shadow and Light.

        Args:
            layers: the layers of a job; those with other roles are ignored.
            size: width and height of the picture in which they were drawn.
        """
        canvas = self._document.width(), self._document.height()
        for layer in layers:
            borrowed = self._layers.get(layer.begin.role)
            if borrowed is not None:
                picture = layer.picture if size == canvas else _enlarged(layer.picture, size, canvas)
                borrowed.write(picture, canvas, round(255 * layer.begin.opacity))
        self._document.refreshProjection()

    def end(self) -> None:
        """Give Shadow and Light their pixels back, unless the artist has painted on them."""
        if self._document.rootNode() is None:
            return
        canvas = self._document.width(), self._document.height()
        for borrowed in self._layers.values():
            borrowed.give_back(canvas)
        if _written_at(self._document) != self._written:
            self._document.setModified(True)  # the file that was saved meanwhile has the preview
        self._stroke.afterwards(self._document.refreshProjection)


@dataclass
class _Borrowed:
    """A layer of the group that shows the preview.

    Attributes:
        node: the layer.
        original: a copy that is in no document.
        visible: whether the layer was visible.
        seen: what it looks like since it was last written.
    """

    node: Any
    original: Any
    visible: bool
    seen: object

    @classmethod
    def of(cls, node: Any) -> _Borrowed:
        return cls(node, node.duplicate(), node.visible(), _looks(node))

    def touched(self) -> bool:
        return _looks(self.node) != self.seen

    def write(self, picture: Picture, canvas: tuple[int, int], opacity: int) -> None:
        whole = picture if _covers(picture, canvas) else _placed(picture, canvas)
        self.node.setPixelData(whole.data, whole.x, whole.y, whole.width, whole.height)
        _fade(self.node, opacity)
        self.seen = _looks(self.node)

    def give_back(self, canvas: tuple[int, int]) -> None:
        self.node.setVisible(self.visible)
        if self.touched():
            return
        left, top, right, bottom = box(self.original)
        area = QtCore.QRect(0, 0, *canvas).united(QtCore.QRect(left, top, right - left, bottom - top))
        place = area.x(), area.y(), area.width(), area.height()
        self.node.setPixelData(self.original.pixelData(*place), *place)
        _fade(self.node, self.original.opacity())


def _fade(node: Any, opacity: int) -> None:
    """Change a layer's opacity, if it is another one.

    Krita takes the same one as a change, too, and crashes if the document is closed in the tenth of a second before its
    list of layers shows a change (5.2.9).
    """
    if node.opacity() != opacity:
        node.setOpacity(opacity)


def _looks(node: Any) -> object:
    position = node.position()
    return position.x(), position.y(), _bytes(node.thumbnail(LOOK, LOOK))


def _written_at(document: Any) -> int | None:
    """When the document's file was written; None if there is none."""
    path = Path(document.fileName())
    return path.stat().st_mtime_ns if path.is_file() else None


def _covers(picture: Picture, canvas: tuple[int, int]) -> bool:
    return (picture.x, picture.y, picture.width, picture.height) == (0, 0, *canvas)


def _placed(picture: Picture, canvas: tuple[int, int]) -> Picture:
    """A picture on a transparent canvas."""
    sheet = QtGui.QImage(*canvas, QtGui.QImage.Format.Format_ARGB32)
    sheet.fill(QtCore.Qt.GlobalColor.transparent)
    painter = QtGui.QPainter(sheet)
    painter.setCompositionMode(QtGui.QPainter.CompositionMode.CompositionMode_Source)
    painter.drawImage(picture.x, picture.y, _image(picture))
    painter.end()
    return Picture(0, 0, *canvas, _bytes(sheet))


def _enlarged(picture: Picture, size: tuple[int, int], canvas: tuple[int, int]) -> Picture:
    """A picture from a smaller canvas, with Qt's smooth scaling: it is a preview."""
    across, down = canvas[0] / size[0], canvas[1] / size[1]
    width, height = max(1, round(across * picture.width)), max(1, round(down * picture.height))
    ignored, smooth = QtCore.Qt.AspectRatioMode.IgnoreAspectRatio, QtCore.Qt.TransformationMode.SmoothTransformation
    scaled = _image(picture).scaled(width, height, ignored, smooth).convertToFormat(QtGui.QImage.Format.Format_ARGB32)
    return Picture(round(across * picture.x), round(down * picture.y), width, height, _bytes(scaled))


def _image(picture: Picture) -> QtGui.QImage:
    """An image that refers to the picture's data."""
    form = QtGui.QImage.Format.Format_ARGB32
    return QtGui.QImage(picture.data, picture.width, picture.height, 4 * picture.width, form)


def _bytes(image: QtGui.QImage) -> bytes:
    pixels: Any = image.constBits()  # PyQt's pointer, which PyQt5's stubs know no further
    pixels.setsize(image.sizeInBytes())
    return bytes(pixels)
