"""The groups of layers this plugin has made, as the document remembers them."""

from __future__ import annotations

import json
import time
from typing import Any

from .nodes import identity, is_mask, walk

ANNOTATION = "layerfusion/"
"""Annotations are saved in the .kra file. Ours are named by this and the unique id of a group."""


def name_of(group: Any) -> str:
    """Of the annotation about a group."""
    return ANNOTATION + identity(group)


def as_text(record: dict[str, Any], roles: dict[str, str]) -> str:
    """What to remember about a group made now.

    Args:
        record: how it was made, in plain JSON values.
        roles: of its layers, by their unique ids.
    """
    return json.dumps({**record, "layers": roles, "made": time.time()})


def recall(document: Any, group: Any) -> dict[str, Any] | None:
    """What is remembered about a group; None for one that is not ours."""
    try:
        record = json.loads(bytes(document.annotation(name_of(group))))
    except ValueError:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("layers"), dict):
        return None  # the file may come from anybody
    return record if isinstance(record.get("made"), (int, float)) else None


def own(document: Any, node: Any | None) -> Any | None:
    """The innermost group made by this plugin that `node` is, or lies in."""
    while node is not None:
        if node.type() == "grouplayer" and recall(document, node) is not None:
            return node
        node = node.parentNode()
    return None


def made(document: Any) -> list[tuple[float, Any]]:
    """When each of our groups that the artist still has was made, and the group; bottom first."""
    records = [(recall(document, node), node) for node in walk(document.rootNode()) if node.type() == "grouplayer"]
    return [(record["made"], node) for record, node in records if record is not None]


def last(document: Any) -> Any | None:
    """The youngest group of ours."""
    return max(made(document), key=lambda item: item[0], default=(0, None))[1]


def topmost_on(document: Any, node: Any) -> Any:
    """The last of the groups of ours that follow directly above a layer, else the layer: they lie on it."""
    # what is selected on the canvas is a mask among the layers as well, and hides nothing
    siblings = [sibling for sibling in node.parentNode().childNodes() if not is_mask(sibling)]
    index = [identity(sibling) for sibling in siblings].index(identity(node))
    while index + 1 < len(siblings) and recall(document, siblings[index + 1]) is not None:
        index += 1
    return siblings[index]
