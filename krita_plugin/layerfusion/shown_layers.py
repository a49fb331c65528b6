"""The layers of a Krita document as the docker shows them: those that a button would keep, and those to choose from."""

from __future__ import annotations

import contextlib
from typing import Any

from . import groups, layer_selection
from .interfaces import Pick, Picks
from .jobs import Choice, Refusal
from .nodes import active_layer, find, identity, is_shown
from .text import about_layer

THUMBNAIL = 96
"""Sides of a thumbnail in pixels."""


def picks(document: Any, choice: Choice) -> Picks:
    """What a button would keep.

    Args:
        document: Krita's document.
        choice: the layers that the artist has chosen in the docker.
    """
    front = behind = None
    with contextlib.suppress(Refusal):
        front = layer_selection.foreground(document, choice.foreground).nodes[-1]
    with contextlib.suppress(Refusal):
        behind = layer_selection.background(document, choice.background).nodes[-1]
    chosen = tuple(
        role
        for role, wanted in (("foreground", choice.foreground), ("background", choice.background))
        if wanted is not None and find(document, wanted) is not None
    )
    group = groups.own(document, active_layer(document))
    record = None if group is None else groups.recall(document, group)
    return Picks(_pick(document, front), _pick(document, behind), chosen, None if record is None else record.values)


def candidates(document: Any, role: str) -> list[Pick]:
    """The layers that the artist may choose for a role, the topmost first."""
    found = layer_selection.candidates(document, role)
    return [pick for node, _ in found if (pick := _pick(document, node)) is not None]


def _pick(document: Any, node: Any | None) -> Pick | None:
    if node is None:
        return None
    group = groups.own(document, node)
    inside = group is not None and identity(group) != identity(node)
    return Pick(
        id=identity(node),
        name=node.name(),
        group=group.name() if group is not None and inside else "",
        thumbnail=node.thumbnail(THUMBNAIL, THUMBNAIL),
        hidden=not is_shown(node),
        about=_about(document, node, group) if group is not None and inside else "",
    )


def _about(document: Any, node: Any, group: Any) -> str:
    """How a layer in a group of ours was made."""
    record = groups.recall(document, group)
    role = None if record is None else record.roles.get(identity(node))
    return "" if record is None or role is None else about_layer(role, record.values)
