"""The groups of layers that this plugin made, and the records about them, which Krita saves in the document."""

from __future__ import annotations

import json
import time
from typing import Any

from .nodes import identity, is_mask, walk

ANNOTATION = "layerfusion/"
"""Prefix of our annotations' names; the unique id of the group follows. Krita saves annotations in the .kra file."""


def name_of(group: Any) -> str:
    """The name of the annotation about a group."""
    return ANNOTATION + identity(group)


def as_text(record: dict[str, Any], roles: dict[str, str]) -> str:
    """The annotation about a group that is made now: JSON, with the current time.

    Args:
        record: how the group was made, as JSON values.
        roles: unique id of each layer -> its role.
    """
    return json.dumps({**record, "layers": roles, "made": time.time()})


def recall(document: Any, group: Any) -> dict[str, Any] | None:
    """The record about a group; None if this plugin did not make it."""
    try:
        record = json.loads(bytes(document.annotation(name_of(group))))
    except ValueError:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("layers"), dict):
        return None  # the file may come from a stranger
    return record if isinstance(record.get("made"), (int, float)) else None


def own(document: Any, node: Any | None) -> Any | None:
    """The innermost group made by this plugin that is `node` or contains it; None if there is none."""
    while node is not None:
        if node.type() == "grouplayer" and recall(document, node) is not None:
            return node
        node = node.parentNode()
    return None


def made(document: Any) -> list[tuple[float, Any]]:
    """The groups in the document that this plugin made, each with the time, in seconds since 1970; bottom first."""
    records = [(recall(document, node), node) for node in walk(document.rootNode()) if node.type() == "grouplayer"]
    return [(record["made"], node) for record, node in records if record is not None]


def last(document: Any) -> Any | None:
    """The group that this plugin made last; None if there is none."""
    return max(made(document), key=lambda item: item[0], default=(0, None))[1]


def topmost_on(document: Any, node: Any) -> Any:
    """The topmost of our groups that follow without a gap directly above a layer; the layer itself if there is none."""
    # Krita keeps the selection as a mask among the layers; it hides nothing
    siblings = [sibling for sibling in node.parentNode().childNodes() if not is_mask(sibling)]
    index = [identity(sibling) for sibling in siblings].index(identity(node))
    while index + 1 < len(siblings) and recall(document, siblings[index + 1]) is not None:
        index += 1
    return siblings[index]
