"""Krita's documents: reading the layers to keep, adding a group of layers, exporting a group.

Many calls of Krita's scripting API fail without an error or depend on the order of the calls. The workarounds are here,
each with its reason. Everything here runs on the GUI thread. The artist's own layers are only read, never changed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from krita import InfoObject, Krita

from . import groups, insertion, layer_selection, scratch
from .images import Picture
from .jobs import ArrivedLayer, Inserted, KeptLayer, Placement, Refusal
from .nodes import active_layer, identity, is_mask, losses, read, walk
from .qt import QtCore

_MODELS = {"RGBA": "RGB", "GRAYA": "grayscale", "CMYKA": "CMYK", "LABA": "L*a*b*", "XYZA": "XYZ", "YCbCrA": "YCbCr"}
_DEPTHS = {"U8": "8-bit", "U16": "16-bit", "F16": "16-bit float", "F32": "32-bit float"}


def active() -> Document | None:
    """The active document; None if none is open."""
    document = Krita.instance().activeDocument()
    return None if document is None else Document(document)


def find(placement: Placement, size: tuple[int, int]) -> Document | None:
    """The open document for a result, active or not; None if it is not open.

    A file that was closed and opened again has another id. It is then found by its file name and its size in pixels.
    """
    documents = [Document(found) for found in Krita.instance().documents()]
    same = [found for found in documents if found.id == placement.document]
    alike = [found for found in documents if (found.file_name, found.size) == (placement.title, size)]
    return next(iter((*same, *alike)), None)


class Document:
    """One open document.

    Args:
        document: Krita's object. Nothing from it is cached, because Krita's wrappers of nodes outlive the nodes.
    """

    def __init__(self, document: Any) -> None:
        self._document = document

    @property
    def id(self) -> str:
        """Unique among all open documents, also if the same file is opened twice."""
        return self._document.rootNode().uniqueId().toString()

    @property
    def name(self) -> str:
        """The name to show: the file's name, else the document's."""
        return Path(self._document.fileName()).name or self._document.name() or "Unnamed"

    @property
    def file_name(self) -> str | None:
        """The file name without its folder; None if the document was never saved."""
        return Path(self._document.fileName()).name or None

    @property
    def size(self) -> tuple[int, int]:
        return self._document.width(), self._document.height()

    def check_colours(self) -> str:
        """Check that layers can be added to this document. Krita would ignore other pixels without an error.

        Returns:
            A warning if the profile is not sRGB, else "".

        Raises:
            Refusal: the document is not 8-bit RGB.
        """
        model, depth = self._document.colorModel(), self._document.colorDepth()
        if (model, depth) != ("RGBA", "U8"):
            raise Refusal(
                f"“{self.name}” is {_DEPTHS.get(depth, depth)} {_MODELS.get(model, model)}; "
                "layers can be added to 8-bit RGB documents only.",
                "Convert it: Image ▸ Convert Image Color Space…, RGB/Alpha, 8-bit integer/channel.",
            )
        profile = self._document.colorProfile()
        if is_srgb(profile):
            return ""
        return f"The document's profile is “{profile}”; layers are drawn in sRGB, so their colours will look different."

    def placement(self) -> Placement:
        """The place for a new result: above the active layer, and above earlier results that are directly above it."""
        node = active_layer(self._document)
        return self._above(groups.own(self._document, node) or node)

    def selected_box(self) -> tuple[int, int, int, int] | None:
        """Left, top, width and height in pixels of the box around the selection; None if there is no selection."""
        selection = self._document.selection()
        if selection is None:
            return None
        place = QtCore.QRect(selection.x(), selection.y(), selection.width(), selection.height())
        box = place.intersected(QtCore.QRect(0, 0, self._document.width(), self._document.height()))
        return None if box.isEmpty() else (box.x(), box.y(), box.width(), box.height())

    def foreground_to_keep(self) -> KeptLayer:
        """Read the foreground that `layer_selection.foreground` chooses.

        Raises:
            Refusal: there is none, or it is empty, hidden or of a kind whose pixels cannot be read.
        """
        return self._keep("foreground", layer_selection.foreground(self._document))

    def background_to_keep(self) -> KeptLayer:
        """Read the background that `layer_selection.background` chooses.

        Raises:
            Refusal: as for the foreground.
        """
        return self._keep("background", layer_selection.background(self._document))

    def both_to_keep(self) -> tuple[KeptLayer, KeptLayer]:
        """Read the foreground and the background that `layer_selection.both` chooses.

        Raises:
            Refusal: as for the foreground.
        """
        front, behind = layer_selection.both(self._document)
        kept = self._keep("foreground", front), self._keep("background", behind)
        if self._is_active(behind.nodes):
            placement = replace(kept[0].placement, role="background")
            return replace(kept[0], placement=placement), kept[1]
        return kept

    def insert(
        self, placement: Placement, name: str, layers: list[ArrivedLayer], values: dict[str, Any]
    ) -> Generator[None, None, Inserted]:
        """Add a group of layers, step by step and in one undo entry; see `insertion.insert`.

        Raises:
            Refusal: the document was converted and can no longer take the layers.
        """
        self.check_colours()
        return insertion.insert(self._document, placement, name, layers, values)

    def name_to_export(self) -> str:
        """The name of the group that `export_psd` would write.

        Raises:
            Refusal: there is no such group.
        """
        return self._group_to_export().name()

    def export_psd(self, path: Path) -> None:
        """Write the selected group, else the one drawn last, to a PSD file as it is on the canvas now.

        A temporary, hidden document is exported, so that the artist's document keeps its name, state and undo history.

        Raises:
            Refusal: there is no such group, or the file cannot be written.
        """
        self.check_colours()
        group = self._group_to_export()
        with self._scratch(self._content(group)) as copy:
            for node in walk(copy.rootNode()):
                if node.blendingMode() == "add":  # Krita would export it as normal; linear dodge is the same sum
                    node.setBlendingMode("linear_dodge")
            copy.refreshProjection()
            copy.waitForDone()
            if not copy.exportImage(str(path), InfoObject()):
                raise Refusal(f"“{path}” could not be written.", "Choose a folder in which you may write files.")

    # ---- layers ------------------------------------------------------------------------------------------------------

    def _keep(self, role: str, picked: layer_selection.SelectedLayers) -> KeptLayer:
        self._document.waitForDone()  # Krita may still be rendering the last stroke
        first, *others = [read(self._document, node) for node in picked.nodes]
        return KeptLayer(
            name=picked.nodes[-1].name(),
            picture=self._flatten(picked.nodes) if others else first,
            prompt=picked.prompt,
            losses=() if others else tuple(losses(self._document, picked.nodes[0])),
            placement=self._above(picked.under, role if self._is_active(picked.nodes) else None),
        )

    def _is_active(self, nodes: Iterable[Any]) -> bool:
        active = active_layer(self._document)
        return active is not None and identity(active) in [identity(node) for node in nodes]

    def _flatten(self, nodes: Iterable[Any]) -> Picture:
        """Several layers as one picture on the canvas, composited by Krita."""
        with self._scratch(nodes) as copy:
            copy.refreshProjection()
            copy.waitForDone()
            canvas = 0, 0, *self.size
            return Picture(*canvas, bytes(copy.pixelData(*canvas)))

    @contextlib.contextmanager
    def _scratch(self, nodes: Iterable[Any]) -> Iterator[Any]:
        """A hidden document with copies of some layers; it is closed at the end of the block."""
        document = self._document
        with scratch.hidden(self.size, document.resolution(), document.colorProfile()) as copy:
            for node in nodes:
                copy.rootNode().addChildNode(node.duplicate(), None)
            yield copy

    def _group_to_export(self) -> Any:
        """The plugin's group that contains the active layer, else the active group, else the group drawn last."""
        node = active_layer(self._document)
        group = groups.own(self._document, node)
        if group is None and node is not None and node.type() == "grouplayer":
            group = node
        group = group or groups.last(self._document)
        if group is None:
            raise Refusal("There is no group of layers to export.", "Generate one, or select a group.")
        return group

    def _content(self, group: Any) -> list[Any]:
        """The layers of a group; the group itself if its opacity or its masks change how they look.

        The group itself is avoided, because Krita writes a PSD without layers if the document has just one node and
        that is opaque, as our groups are.
        """
        children = group.childNodes()
        plain = group.opacity() == 255 and not any(is_mask(child) for child in children)
        return children if plain else [group]

    def _above(self, node: Any | None, role: str | None = None) -> Placement:
        """The place above a layer and above our groups directly above it, which would hide a result below them.

        Args:
            node: the layer; None is the top of the document.
            role: the role of the counterpart of the active layer; None is that which the active layer has in a group of
                ours, else the foreground.
        """
        parent, above = self.id, None
        if node is not None and node.parentNode() is not None:
            top = groups.topmost_on(self._document, node)
            parent, above = identity(top.parentNode()), identity(top)
        active = self._document.activeNode()
        return Placement(
            document=self.id,
            title=self.name,
            parent=parent,
            above=above,
            saved=self.file_name is not None,
            active=None if active is None else identity(active),
            role=role or self._role_of(active_layer(self._document)) or "foreground",
        )

    def _role_of(self, node: Any | None) -> str | None:
        """The role of a layer in a group of ours, "group" for the group itself; None if it is in none."""
        group = groups.own(self._document, node)
        if group is None or node is None:
            return None
        if identity(node) == identity(group):
            return "group"
        record = groups.recall(self._document, group)
        while record is not None and identity(node) != identity(group):
            if identity(node) in record.roles:
                return record.roles[identity(node)]
            node = node.parentNode()
        return None


def is_srgb(profile: str) -> bool:
    """Whether a colour profile of that name has sRGB's primaries and its tone curve."""
    name = profile.lower()
    return any(word.startswith("srgb") for word in name.split()) and "linear" not in name and "-g10" not in name
