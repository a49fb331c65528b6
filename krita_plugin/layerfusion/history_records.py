"""The pictures of a Krita document, read from its annotations and its groups of layers.

A document keeps the record of a group that was deleted, so the history needs no list of its own: it is saved and copied
with the document.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from . import groups
from .history_entry import Entry
from .nodes import find, identity, is_shown
from .protocol.errors import ProtocolError
from .protocol.messages import Submit

UNLISTED = "unlisted"
"""The name of the field that a record has if the artist has removed its picture from the history."""


def entries(document: Any) -> list[Entry]:
    """The pictures of a document, the newest first."""
    recalled = groups.recalled(document)
    there = {_key(record.values) for _, record in recalled}
    shown = [_key(record.values) for group, record in recalled if is_shown(group)]
    seen = shown[-1] if shown else ""
    first: dict[str, dict[str, Any]] = {}
    for _, saved in _listed(document):
        key = _key(saved)
        if key not in first or saved["made"] < first[key]["made"]:  # one that was put back has a second record
            first[key] = saved
    found = [
        Entry(
            key=key,
            title=str(saved.get("title", "")),
            values=saved,
            submit=_submit(saved),
            made=saved["made"],
            there=key in there,
            seen=key == seen,
        )
        for key, saved in first.items()
    ]
    return sorted(found, key=lambda entry: -entry.made)


def group_of(document: Any, key: str) -> Any | None:
    """The topmost group that shows a picture; None if there is none any more."""
    found = [group for group, record in groups.recalled(document) if _key(record.values) == key]
    return found[-1] if found else None


def selected(document: Any) -> str | None:
    """The key of the picture to which the active layer belongs, else of the one that is seen; None if there is none."""
    group = groups.own(document, document.activeNode()) or groups.seen(document)
    record = None if group is None else groups.recall(document, group)
    return None if record is None or record.values.get(UNLISTED) else _key(record.values)


def show_only(document: Any, key: str) -> None:
    """Show the group of a picture and hide our other groups. Its counterpart of the active layer becomes active."""
    target = group_of(document, key)
    if target is None:
        return
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


def _listed(document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for annotation, saved in groups.saved(document):
        if not saved.get(UNLISTED):
            yield annotation, saved


def _key(saved: dict[str, Any]) -> str:
    submit = _submit(saved)
    return submit.job if submit is not None else f"{saved.get('title', '')} {saved.get('made', 0)}"


def _submit(saved: dict[str, Any]) -> Submit | None:
    """The submission in a record; None if there is none, or if it makes no sense: the file may come from a stranger."""
    values = saved.get("submit")
    if not isinstance(values, dict):
        return None
    try:
        return Submit.from_map({name: value for name, value in values.items() if name != "type"})
    except ProtocolError:
        return None


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
