"""Krita's documents, seen the way this plugin needs them.

Krita's scripting API fails silently and asks for its calls in a certain order. That is dealt with here, each workaround
with its reason; above this file a document is something that reads a layer and takes a group of layers. Everything here
runs on the GUI thread. The artist's own layers are only ever read.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from krita import InfoObject, Krita

from .images import Picture
from .jobs import ArrivedLayer, KeptLayer, Placement, Refusal
from .qt import QtCore

ANNOTATION = "layerfusion/"
"""Annotations are saved in the .kra file. Ours are named by this and the unique id of a group."""

READABLE = ("paintlayer", "grouplayer", "vectorlayer", "filelayer", "clonelayer", "filllayer")

_MODELS = {"RGBA": "RGB", "GRAYA": "grayscale", "CMYKA": "CMYK", "LABA": "L*a*b*", "XYZA": "XYZ", "YCbCrA": "YCbCr"}
_DEPTHS = {"U8": "8-bit", "U16": "16-bit", "F16": "16-bit float", "F32": "32-bit float"}


def active() -> Document | None:
    """The document the artist is working in."""
    document = Krita.instance().activeDocument()
    return None if document is None else Document(document)


def find(placement: Placement, size: tuple[int, int]) -> Document | None:
    """The open document a result goes into, whether it is active or not; None while it is closed.

    A file that was closed and opened again has another id: it is known by its name and its size in pixels then.
    """
    documents = [Document(found) for found in Krita.instance().documents()]
    same = [found for found in documents if found.id == placement.document]
    alike = [found for found in documents if (found.file_name, found.size) == (placement.title, size)]
    return next(iter((*same, *alike)), None)


class Document:
    """One open document.

    Args:
        document: Krita's own. It is asked anew each time, as its wrappers outlive what they stand for.
    """

    def __init__(self, document: Any) -> None:
        self._document = document

    @property
    def id(self) -> str:
        """Unique among all open documents. A file that is opened twice has two."""
        return self._document.rootNode().uniqueId().toString()

    @property
    def name(self) -> str:
        """As the artist knows it: the file's name, else the document's."""
        return Path(self._document.fileName()).name or self._document.name() or "Unnamed"

    @property
    def file_name(self) -> str | None:
        """Without its folder; None if it was never saved."""
        return Path(self._document.fileName()).name or None

    @property
    def size(self) -> tuple[int, int]:
        return self._document.width(), self._document.height()

    def check_colours(self) -> str:
        """Make sure that layers can be written here. Krita would write nothing, and not say so.

        Returns:
            A warning in words if the profile is not sRGB, else nothing.

        Raises:
            Refusal: the document is not 8-bit RGB.
        """
        model, depth = self._document.colorModel(), self._document.colorDepth()
        if (model, depth) != ("RGBA", "U8"):
            raise Refusal(
                f"“{self.name}” is {_DEPTHS.get(depth, depth)} {_MODELS.get(model, model)}; "
                "layers can be put into 8-bit RGB documents only.",
                "Convert it: Image ▸ Convert Image Color Space…, RGB/Alpha, 8-bit integer/channel.",
            )
        profile = self._document.colorProfile()
        if is_srgb(profile):
            return ""
        return f"The document's profile is “{profile}”; layers are drawn in sRGB, so their colours will look different."

    def placement(self) -> Placement:
        """Above the active layer, as Krita adds layers, and above the results that lie on it already."""
        node = self._active_layer()
        return self._above(self._own_group(node) or node)

    def layer_to_keep(self) -> KeptLayer:
        """The foreground the artist means: the selected one, else the one drawn last.

        In a group this plugin made, any layer stands for the group's foreground. Any other layer stands for itself,
        unless it hides all that lies behind it: then the foreground drawn last is meant.

        Raises:
            Refusal: there is none, or it is empty, hidden or of a kind whose pixels cannot be read.
        """
        node = self._active_layer()
        group = self._own_group(node)
        if group is None and node is not None and not self._hides_all(node):
            return self._keep(node, "", self._above(node))
        group = group or self._last_group()
        if group is None:
            raise Refusal(
                "There is no foreground to keep.",
                "Generate one, or select a layer that does not fill the whole canvas.",
            )
        record = self._record(group) or {}
        roles = record.get("layers", {})
        foregrounds = [child for child in group.childNodes() if roles.get(_id(child)) == "foreground"]
        if not foregrounds:
            raise Refusal(
                f"The foreground of “{group.name()}” is gone.", "Select the layer to keep, outside of that group."
            )
        selected = next(
            (child for child in foregrounds if node is not None and _id(child) == _id(node)), foregrounds[-1]
        )
        return self._keep(selected, str(record.get("foreground", "")), self._above(group))

    def insert(self, placement: Placement, name: str, layers: list[ArrivedLayer], record: dict[str, Any]) -> None:
        """Add a group of layers, in one undo step.

        Args:
            placement: where; if that place is gone, the top of the document.
            name: of the group.
            layers: bottom first.
            record: what to remember about the group, in plain JSON values.

        Raises:
            Refusal: the document was converted and can no longer take the layers.
        """
        self.check_colours()
        active = self._document.activeNode()
        group = self._document.createGroupLayer(name)
        roles = {}
        for layer in layers:
            begin, picture = layer.begin, layer.picture
            node = self._document.createNode(begin.name, "paintlayer")
            node.setPixelData(picture.data, picture.x, picture.y, picture.width, picture.height)
            node.setBlendingMode(begin.blend)
            node.setOpacity(round(255 * begin.opacity))
            node.setVisible(begin.visible)
            group.addChildNode(node, None)
            roles[_id(node)] = begin.role
        parent = self._find(placement.parent) or self._document.rootNode()
        above = next((child for child in parent.childNodes() if _id(child) == placement.above), None)
        # The group was filled while it belonged to no image, so that adding it is the one thing there is to undo.
        parent.addChildNode(group, above)
        text = json.dumps({**record, "layers": roles, "made": time.time()})
        self._document.setAnnotation(ANNOTATION + _id(group), "LayerFusion", QtCore.QByteArray(text.encode()))
        self._document.refreshProjection()
        if active is not None:
            # Krita is about to make the new group the active layer, while the artist may be painting on another
            QtCore.QTimer.singleShot(0, lambda: self._document.setActiveNode(active))

    def name_to_export(self) -> str:
        """The name of the group `export_psd` would write.

        Raises:
            Refusal: there is none.
        """
        return self._group_to_export().name()

    def export_psd(self, path: Path) -> None:
        """Write the selected group, else the one drawn last, to a PSD file as it is on the canvas now.

        The file is written from a document of its own that is never shown, so that the artist's keeps its name, state
        and undo history.

        Raises:
            Refusal: there is no such group, or the file cannot be written.
        """
        self.check_colours()
        group = self._group_to_export()
        document = self._document
        scratch = Krita.instance().createDocument(
            document.width(),
            document.height(),
            group.name(),
            "RGBA",
            "U8",
            document.colorProfile(),
            document.resolution(),
        )
        try:
            scratch.setBatchmode(True)  # no dialog about what PSD cannot hold
            for node in scratch.rootNode().childNodes():
                node.remove()
            for node in self._content(group):
                scratch.rootNode().addChildNode(node.duplicate(), None)
            for node in _walk(scratch.rootNode()):
                if node.blendingMode() == "add":  # Krita would write it as normal; the other is the same sum
                    node.setBlendingMode("linear_dodge")
            scratch.refreshProjection()
            scratch.waitForDone()
            if not scratch.exportImage(str(path), InfoObject()):
                raise Refusal(f"“{path}” could not be written.", "Choose a folder you may write to.")
        finally:
            scratch.setModified(False)
            scratch.close()

    # ---- layers ------------------------------------------------------------------------------------------------------

    def _group_to_export(self) -> Any:
        """The group this plugin made that holds the active layer, else the active group, else the one drawn last."""
        node = self._active_layer()
        group = self._own_group(node)
        if group is None and node is not None and node.type() == "grouplayer":
            group = node
        group = group or self._last_group()
        if group is None:
            raise Refusal("There is no group of layers to export.", "Generate one, or select a group.")
        return group

    def _active_layer(self) -> Any | None:
        """The active layer; a mask stands for its layer. Krita has none for a moment after a document was opened."""
        node = self._document.activeNode()
        while node is not None and node.type().endswith("mask"):
            node = node.parentNode()
        return node

    def _find(self, identity: str) -> Any | None:
        root = self._document.rootNode()
        return next((node for node in _walk(root) if _id(node) == identity), None)

    def _content(self, group: Any) -> list[Any]:
        """The layers of a group; the group itself if it adds something to them.

        Krita writes a PSD without layers if the document has just one and that is opaque, as our groups are.
        """
        children = group.childNodes()
        plain = group.opacity() == 255 and not any(child.type().endswith("mask") for child in children)
        return children if plain else [group]

    def _above(self, node: Any | None) -> Placement:
        """The place above a layer and all groups of ours that follow it directly: they would hide what is between."""
        if node is None or node.parentNode() is None:
            return Placement(self.id, self.name, self.id, None, self.file_name is not None)
        siblings = node.parentNode().childNodes()
        index = [_id(sibling) for sibling in siblings].index(_id(node))
        while index + 1 < len(siblings) and self._record(siblings[index + 1]) is not None:
            index += 1
        return Placement(self.id, self.name, _id(node.parentNode()), _id(siblings[index]), self.file_name is not None)

    def _record(self, group: Any) -> dict[str, Any] | None:
        """What `insert` remembered about a group; None for a group that is not ours."""
        data = bytes(self._document.annotation(ANNOTATION + _id(group)))
        try:
            record = json.loads(data)
        except ValueError:
            return None
        if not isinstance(record, dict) or not isinstance(record.get("layers"), dict):
            return None  # the file may come from anybody
        return record if isinstance(record.get("made"), (int, float)) else None

    def _own_group(self, node: Any | None) -> Any | None:
        """The innermost group made by this plugin that `node` is, or lies in."""
        while node is not None:
            if node.type() == "grouplayer" and self._record(node) is not None:
                return node
            node = node.parentNode()
        return None

    def _last_group(self) -> Any | None:
        """Of the groups this plugin made and the artist still has, the youngest."""
        made = [
            (record["made"], node)
            for node in _walk(self._document.rootNode())
            if node.type() == "grouplayer" and (record := self._record(node)) is not None
        ]
        return max(made, key=lambda item: item[0])[1] if made else None

    def _hides_all(self, node: Any) -> bool:
        return node.type() in READABLE and node.bounds().contains(self._canvas()) and self._read(node).is_opaque

    def _canvas(self) -> QtCore.QRect:
        return QtCore.QRect(0, 0, self._document.width(), self._document.height())

    def _read(self, node: Any) -> Picture:
        """A layer's pixels on the canvas, and beyond as far as they go."""
        rect = node.bounds().united(self._canvas())
        box = rect.x(), rect.y(), rect.width(), rect.height()
        return Picture(*box, bytes(node.projectionPixelData(*box)))

    def _keep(self, node: Any, prompt: str, placement: Placement) -> KeptLayer:
        name = node.name()
        if node.type() not in READABLE:
            raise Refusal(
                f"“{name}” is not a layer with pixels of its own.",
                "Select a paint, group, vector, clone, fill or file layer.",
            )
        if (node.colorModel(), node.colorDepth()) != ("RGBA", "U8"):
            raise Refusal(
                f"The layer “{name}” is not 8-bit RGB.", "Convert it: Layer ▸ Convert ▸ Convert Layer Color Space…"
            )
        if not node.visible():
            raise Refusal(f"The layer “{name}” is hidden.", "Show it, or select another layer to keep.")
        self._document.waitForDone()  # a stroke that is still being painted belongs to the picture
        if node.bounds().isEmpty():
            raise Refusal(f"The layer “{name}” is empty.", "Select the layer to keep.")
        return KeptLayer(name, self._read(node), prompt, tuple(_losses(node)), placement)


def is_srgb(profile: str) -> bool:
    """Whether a colour profile of that name has sRGB's primaries and its tone curve."""
    name = profile.lower()
    return any(word.startswith("srgb") for word in name.split()) and "linear" not in name and "-g10" not in name


def _id(node: Any) -> str:
    """The same through moves, renames, undo, saving and opening."""
    return node.uniqueId().toString()


def _walk(node: Any) -> Iterator[Any]:
    for child in node.childNodes():
        yield child
        yield from _walk(child)


def _losses(node: Any) -> Iterator[str]:
    """What a copy of the layer's projection lacks or has painted in, in words."""
    if any(child.type().endswith("mask") and child.visible() for child in node.childNodes()):
        yield "its masks (their effect is painted in)"
    if node.opacity() != 255:
        yield f"its opacity of {round(node.opacity() / 2.55)} %"
    if node.blendingMode() != "normal":
        yield f"its blending mode “{node.blendingMode()}”"
    if node.inheritAlpha():
        yield "its inherited alpha"
    if node.layerStyleToAsl():
        yield "its layer style"
