"""The pictures of a Krita document, read from its annotations and its groups of layers.

A document keeps the record of a group that was deleted, so the history needs no list of its own: it is saved and copied
with the document.
"""

from __future__ import annotations

import json
from typing import Any

from . import groups
from .history_entry import Entry, job_of
from .nodes import find, identity, is_shown

UNLISTED = "unlisted"
"""The name of the field that a record has if the artist has removed its picture from the history."""


def entries(document: Any) -> list[Entry]:
    """The pictures of a document, the newest first."""
    recalled = [(_key(record.values), group) for group, record in groups.recalled(document)]
    there = {key: identity(group) for key, group in recalled}  # bottom first, so that the topmost remains
    shown = [key for key, group in recalled if is_shown(group)]
    first: dict[str, dict[str, Any]] = {}
    for _, saved in groups.saved(document):
        key = _key(saved)
        if not saved.get(UNLISTED) and (key not in first or saved["made"] < first[key]["made"]):
            first[key] = saved  # one that was put back has a second record
    found = [
        Entry(
            key=key,
            title=str(saved.get("title", "")),
            values=saved,
            made=saved["made"],
            group=there.get(key),
            seen=key in shown[-1:],
        )
        for key, saved in first.items()
    ]
    return sorted(found, key=lambda entry: -entry.made)


def selected(document: Any) -> str | None:
    """The key of the picture to which the active layer belongs, else of the one that is seen; None if there is none."""
    group = groups.own(document, document.activeNode()) or groups.seen(document)
    record = None if group is None else groups.recall(document, group)
    return None if record is None or record.values.get(UNLISTED) else _key(record.values)


def show_only(document: Any, key: str) -> None:
    """Show the group of a picture and hide our other groups. Its counterpart of the active layer becomes active."""
    same = [group for group, record in groups.recalled(document) if _key(record.values) == key]
    if not same:
        return
    target = same[-1]
    around = set(_upwards(target))
    for group, _ in groups.recalled(document):
        wanted = identity(group) in around or identity(target) in _upwards(group)
        if group.visible() != wanted:
            group.setVisible(wanted)
    for outer in around:
        if (node := find(document, outer)) is not None and not node.visible():
            node.setVisible(True)
    document.refreshProjection()
    counterpart = _counterpart(document, target)
    if counterpart is not None:
        document.setActiveNode(counterpart)


def unlisted(document: Any, key: str) -> dict[str, str]:
    """The records of a picture, as they are after it was removed from the history: name of the annotation -> text."""
    found = [(name, saved) for name, saved in groups.saved(document) if _key(saved) == key]
    return {name: json.dumps({**saved, UNLISTED: True}) for name, saved in found}


def _key(saved: dict[str, Any]) -> str:
    return job_of(saved) or f"{saved.get('title', '')} {saved.get('made', 0)}"


def _counterpart(document: Any, group: Any) -> Any | None:
    """The layer of a group with the role of the active layer; None if the active layer is in none of our groups."""
    active = document.activeNode()
    other = groups.own(document, active)
    if active is None or other is None or not is_shown(group):
        return None
    theirs, ours = groups.recall(document, other), groups.recall(document, group)
    role = "foreground" if theirs is None else theirs.roles.get(identity(active), "foreground")
    same = [child for child in group.childNodes() if ours is not None and ours.roles.get(identity(child)) == role]
    return same[-1] if same and identity(active) != identity(other) else group


def _upwards(node: Any) -> list[str]:
    """The unique ids of a node and of the groups around it."""
    ids = []
    while node is not None and node.parentNode() is not None:
        ids.append(identity(node))
        node = node.parentNode()
    return ids
