"""Exports a group of layers to a PSD file, which says what it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from krita import InfoObject

from . import colours, groups, preferences, psd_record, scratch
from .jobs import Refusal
from .nodes import active_layer, is_mask, is_shown, walk
from .qt import waiting_cursor
from .translation import tr


def group(document: Any) -> Any:
    """The group to export: the plugin's that contains the active layer, else the active one.

    Else, or if it is hidden, the one that is seen.

    Raises:
        Refusal: there is no such group.
    """
    node = active_layer(document)
    found = groups.own(document, node)
    if found is None and node is not None and node.type() == "grouplayer":
        found = node
    if found is not None and not is_shown(found):
        found = groups.seen(document) or found
    found = found or groups.last(document)
    if found is None:
        raise Refusal(tr("There is no group of layers to export."), tr("Generate one, or select a group."))
    return found


def psd(document: Any, path: Path) -> None:
    """Write that group to a PSD file as it is on the canvas now.

    A temporary, hidden document is exported, so that the artist's document keeps its name, state and undo history.

    Raises:
        Refusal: there is no such group, or the file cannot be written.
    """
    chosen, prompts = group(document), preferences.prompts_in_files()
    record = groups.recall(document, chosen)  # None for the artist's own groups, which are not ours to label
    with waiting_cursor(), _scratch(document, _content(chosen)) as copy:
        for node in walk(copy.rootNode()):
            if node.blendingMode() == "add":  # Krita would export it as normal; linear dodge is the same sum
                node.setBlendingMode("linear_dodge")
            if not prompts and record is not None and node.name() == chosen.name():  # it consists of prompts
                node.setName(psd_record.WITHOUT_PROMPTS)
        copy.refreshProjection()
        copy.waitForDone()
        if not copy.exportImage(str(path), InfoObject()):
            raise Refusal(
                tr("“{path}” could not be written.", path=path), tr("Choose a folder in which you may write files.")
            )
    if record is not None:
        try:
            psd_record.stamp(path, psd_record.packet(chosen.name(), record.made_of, prompts))
        except (OSError, ValueError) as error:
            raise Refusal(
                tr("“{path}” was written, but not that a model has drawn it ({reason}).", path=path, reason=error),
                tr("Export it again."),
            ) from error


@contextlib.contextmanager
def _scratch(document: Any, nodes: Iterable[Any]) -> Iterator[Any]:
    """A hidden document with copies of some layers; it is closed at the end of the block."""
    plain = colours.are_the_servers(document)
    profile = document.colorProfile() if plain else scratch.SRGB
    size = document.width(), document.height()
    with scratch.hidden(size, document.resolution(), profile) as copy:
        for node in nodes:
            copy.rootNode().addChildNode(node.duplicate(), None)
        for node in walk(copy.rootNode()):
            if not plain and not is_mask(node):
                node.setColorSpace("RGBA", "U8", profile)
        yield copy


def _content(chosen: Any) -> list[Any]:
    """The layers of a group; the group itself if its opacity or its masks change how they look.

    The group itself is avoided, because Krita writes a PSD without layers if the document has just one node and that is
    opaque, as our groups are.
    """
    children = chosen.childNodes()
    plain = chosen.opacity() == 255 and not any(is_mask(child) for child in children)
    return children if plain else [chosen]
