"""Krita's documents: reading the layers to keep, adding a group of layers, exporting a group.

Many calls of Krita's scripting API fail without an error or depend on the order of the calls. The workarounds are here,
each with its reason. Everything here runs on the GUI thread. The artist's own layers are only read, never changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from krita import Krita

from . import (
    colours,
    exporting,
    groups,
    history_records,
    insertion,
    kept_layers,
    layer_selection,
    scratch,
    selections,
    shown_layers,
    variant_sets,
)
from .history_entry import Entry
from .interfaces import Pick, Picks, Region
from .jobs import Choice, Inserted, KeptLayer, PendingJob, Placement, Refusal
from .live_preview import LivePreview
from .nodes import active_layer, identity
from .nodes import find as find_node
from .qt import QtCore
from .translation import tr

SETTINGS = "layerfusion-settings"
"""The name of the annotation with the docker's fields."""


def active() -> Document | None:
    """The active document; None if none is open, or if Krita 6 is just closing it and it has no layers any more."""
    document = Krita.instance().activeDocument()
    return None if document is None or document.rootNode() is None else Document(document)


def new() -> None:
    """Open Krita's dialog for a new document."""
    Krita.instance().action("file_new").trigger()


def create(name: str, size: tuple[int, int]) -> Document:
    """A new document of 8-bit sRGB with one empty layer, shown in the active window."""
    document = Krita.instance().createDocument(*size, name, "RGBA", "U8", scratch.SRGB, 300.0)
    Krita.instance().activeWindow().addView(document)
    return Document(document)


def find(placement: Placement) -> Document | None:
    """The open document for a result, active or not; None if it is not open.

    A file that was closed and opened again has another id. It is then found by its path, or else by its name and size.
    """
    documents = [Document(found) for found in Krita.instance().documents()]
    same = [found for found in documents if found.id == placement.document]
    path = [found for found in documents if placement.path and found.path == placement.path]
    alike = [found for found in documents if (found.file_name, found.size) == (placement.title, placement.canvas)]
    return next(iter((*same, *path, *alike)), None)


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
        return Path(self._document.fileName()).name or self._document.name() or tr("Unnamed")

    @property
    def file_name(self) -> str | None:
        """The file name without its folder; None if the document was never saved."""
        return Path(self._document.fileName()).name or None

    @property
    def path(self) -> str:
        """The path of the document's file; empty if it was never saved."""
        return self._document.fileName()

    @property
    def size(self) -> tuple[int, int]:
        return self._document.width(), self._document.height()

    @property
    def folder(self) -> Path | None:
        """The folder of the document's file; None if it was never saved."""
        name = self._document.fileName()
        return Path(name).parent if name else None

    def about_colours(self) -> str:
        """What happens to the colours of a result, as a sentence; empty if they stay as they are drawn."""
        if colours.are_the_servers(self._document):
            return ""
        words = tr(
            "“{document}” is {colours}; Krita converts the layers, which are 8-bit sRGB.",
            document=self.name,
            colours=colours.described(self._document),
        )
        if colours.blend_as_light(self._document):
            return words
        return f"{words} {tr('Shadow and Light are hidden, because their blending modes need RGB.')}"

    def settings(self) -> dict[str, Any] | None:
        """The values of the docker's fields that were saved in the document; None if there are none."""
        try:
            values = json.loads(bytes(self._document.annotation(SETTINGS)))
        except ValueError:
            return None
        return values if isinstance(values, dict) else None

    def save_settings(self, values: dict[str, Any]) -> None:
        """Save the values of the docker's fields in the document."""
        text = QtCore.QByteArray(json.dumps(values).encode())
        self._document.setAnnotation(SETTINGS, "LayerFusion", text)

    def placement(self) -> Placement:
        """The place for a new result: above the active layer, and above earlier results that are directly above it."""
        node = active_layer(self._document)
        return self._above(groups.own(self._document, node) or node)

    def selected_region(self, size: tuple[int, int]) -> Region | None:
        """The selection on the canvas, in a picture of this size; see `selections.region`."""
        return selections.region(self._document, size)

    def looked_at(self) -> str:
        """A text that changes when another document is shown or another node is made active."""
        active = self._document.activeNode()
        return f"{self.id} {'' if active is None else identity(active)}"

    def picks(self, choice: Choice) -> Picks:
        """What `foregrounds_to_keep` and `background_to_keep` would read; see `shown_layers`."""
        return shown_layers.picks(self._document, choice)

    def candidates(self, role: str) -> list[Pick]:
        """The layers that the artist may choose for a role, the topmost first."""
        return shown_layers.candidates(self._document, role)

    def foregrounds_to_keep(self, choice: Choice, size: tuple[int, int]) -> tuple[KeptLayer, ...]:
        """Read the foreground that `layer_selection.foreground` chooses, and those beside it in its picture; bottom
        first, at least one, of which one is picked.

        Raises:
            Refusal: there is none, or one is empty, hidden or of a kind whose pixels cannot be read.
        """
        front = layer_selection.foreground(self._document, choice.foreground)
        kept = []
        for number, each in enumerate(layer_selection.together(self._document, front)):
            layer = self._keep("foreground", size, each)
            placement = replace(layer.placement, number=number if self._is_active(each.nodes) else None)
            kept.append(replace(layer, placement=placement, picked=each is front))
        return tuple(kept)

    def background_to_keep(self, choice: Choice, size: tuple[int, int]) -> KeptLayer:
        """Read the background that `layer_selection.background` chooses.

        Raises:
            Refusal: as for the foreground.
        """
        return self._keep("background", size, layer_selection.background(self._document, choice.background))

    def background_outside_selection(self, choice: Choice, size: tuple[int, int]) -> KeptLayer:
        """Read the background that `layer_selection.both` chooses, transparent as far as it is selected.

        Raises:
            Refusal: as for the foreground; or nothing is selected.
        """
        selection = self._document.selection()
        if selection is None:
            raise Refusal(
                tr("Nothing is selected on the canvas."),
                tr("Select where the background changes, or untick “Change the background in the selection”."),
            )
        _, picked = layer_selection.both(self._document, choice)
        return self._keep("background", size, picked, selection)

    def both_to_keep(self, choice: Choice, size: tuple[int, int]) -> tuple[tuple[KeptLayer, ...], KeptLayer]:
        """Read the foreground and the background that `layer_selection.both` chooses, and the foregrounds beside it.

        Raises:
            Refusal: as for the foreground.
        """
        _, behind = layer_selection.both(self._document, choice)
        fronts = self.foregrounds_to_keep(choice, size)
        if self._is_active(behind.nodes):
            fronts = tuple(replace(each, placement=replace(each.placement, role="background")) for each in fronts)
        return fronts, self._keep("background", size, behind)

    def history(self) -> list[Entry]:
        """The pictures that were drawn into the document, the newest first; see `history_records`."""
        return history_records.entries(self._document)

    def selected_picture(self) -> str | None:
        """The key of the selected picture, else of the one that is seen; None if there is none."""
        return history_records.selected(self._document)

    def show_picture(self, key: str) -> None:
        """Show a picture of the history that is in the document, and hide our other groups."""
        history_records.show_only(self._document, key)

    def unlist_picture(self, key: str) -> None:
        """Remove a picture from the history; its group stays as it is."""
        for name, text in history_records.unlisted(self._document, key).items():
            self._document.setAnnotation(name, "LayerFusion", QtCore.QByteArray(text.encode()))

    def thumbnail(self, group: str) -> Any | None:
        """A small picture of the group with a unique id, as Krita gives it; None if it is not in the document."""
        node = find_node(self._document, group)
        return None if node is None else node.thumbnail(shown_layers.THUMBNAIL, shown_layers.THUMBNAIL)

    def preview(self) -> LivePreview:
        """Scratch layers for Shadow and Light of the group on which the artist works; see `live_preview`."""
        return LivePreview(self._document)

    def variants(self) -> tuple[int, int] | None:
        """Index and number of the variants in the set on which the artist works; None if there is none."""
        found = variant_sets.current(self._document)
        return None if found is None else (found[2], len(found[1]))

    def step_variant(self, by: int) -> None:
        """Show the variant that comes so many places later; see `variant_sets.step`."""
        variant_sets.step(self._document, by)

    def keep_variant(self) -> None:
        """Keep the variant that is visible, and remove the others from the document."""
        for name, text in variant_sets.keep(self._document).items():
            self._document.setAnnotation(name, "LayerFusion", QtCore.QByteArray(text.encode()))

    def insert(self, job: PendingJob, waits: Callable[[], None]) -> Generator[None, None, Inserted]:
        """Add the layers of a job as a group, step by step and in one undo entry; see `insertion.insert`."""
        return insertion.insert(self._document, job, waits)

    def name_to_export(self) -> str:
        """The name of the group that `export_psd` would write.

        Raises:
            Refusal: there is no such group.
        """
        return exporting.group(self._document).name()

    def export_psd(self, path: Path) -> Generator[None, None, tuple[str, ...]]:
        """Write the selected group, else the one that is seen, to a PSD file step by step; see `exporting.psd`."""
        return exporting.psd(self._document, path)

    # ---- layers ------------------------------------------------------------------------------------------------------

    def _keep(
        self, role: str, size: tuple[int, int], picked: layer_selection.SelectedLayers, erased: Any = None
    ) -> KeptLayer:
        kept = kept_layers.keep(self._document, picked.nodes, size, erased)
        node, single = picked.nodes[-1], len(picked.nodes) == 1
        return KeptLayer(
            name=node.name(),
            picture=kept.picture,
            prompt=picked.prompt,
            notes=kept.notes,
            placement=self._above(picked.under, role if self._is_active(picked.nodes) else None),
            opacity=node.opacity() / 255 if single else 1.0,
            blend=node.blendingMode() if single else "normal",
            copy=kept.copy,
        )

    def _is_active(self, nodes: Iterable[Any]) -> bool:
        active = active_layer(self._document)
        return active is not None and identity(active) in [identity(node) for node in nodes]

    def _above(self, node: Any | None, role: str | None = None) -> Placement:
        """The place above a layer and above our groups directly above it, which would hide a result below them.

        Args:
            node: the layer; None is the top of the document.
            role: the role of the counterpart of the active layer; None is that which the active layer has in a group of
                ours, else the foreground.
        """
        parent, above = self.id, None
        if node is not None and node.parentNode() is not None:
            top = groups.topmost_on(self._document, variant_sets.whole(self._document, node))
            parent, above = identity(top.parentNode()), identity(top)
        active = self._document.activeNode()
        return Placement(
            document=self.id,
            title=self.name,
            parent=parent,
            above=above,
            saved=self.file_name is not None,
            path=self._document.fileName(),
            canvas=self.size,
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
        while record is not None and node is not None and identity(node) != identity(group):
            if identity(node) in record.roles:
                return record.roles[identity(node)]
            node = node.parentNode()
        return None
