"""The layers of a Krita document as the docker shows them: those that a button would keep, and those to choose from."""

from __future__ import annotations

import contextlib
from dataclasses import replace
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
        front = _picked_with_others(document, layer_selection.foreground(document, choice.foreground))
    with contextlib.suppress(Refusal):
        behind = layer_selection.background(document, choice.background).nodes[-1]
    chosen = tuple(
        role
        for role, wanted in (("foreground", choice.foreground), ("background", choice.background))
        if wanted is not None and find(document, wanted) is not None
    )
    group = groups.own(document, active_layer(document))
    record = None if group is None else groups.recall(document, group)
    return Picks(front, _pick(document, behind), chosen, None if record is None else record.values)


def candidates(document: Any, role: str) -> list[Pick]:
    """The layers that the artist may choose for a role, the topmost first."""
    found = layer_selection.candidates(document, role)
    return [pick for node, _ in found if (pick := _pick(document, node)) is not None]


def _picked_with_others(document: Any, front: layer_selection.SelectedLayers) -> Pick | None:
    """The foreground that a button works on, with the names of those that are kept beside it, bottom first."""
    picked = _pick(document, front.nodes[-1])
    all_of_it = [_pick(document, each.nodes[-1]) for each in layer_selection.together(document, front)]
    if picked is None or len(all_of_it) == 1:
        return picked
    shown = [each for each in all_of_it if each is not None]
    about = "\n".join(f"{each.name}\n{each.about}" for each in shown)
    return replace(picked, name=", ".join(each.name for each in shown), about=about)


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
    return "" if record is None or role is None else about_layer(role, groups.values_of(record, identity(node)))
