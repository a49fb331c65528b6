"""Chooses the layers to keep: the selected one, or those of the group that is seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from . import groups
from .jobs import Choice, Refusal
from .nodes import READABLE, active_layer, find, hides_all, identity, is_empty, is_shown, walk
from .translation import tr

NO_CHOICE = Choice()


@dataclass(frozen=True)
class SelectedLayers:
    """The foreground or the background to keep, as nodes in Krita.

    Attributes:
        nodes: its nodes, bottom first, at least one. A kept background with holes consists of two.
        prompt: the prompt from which it was drawn; empty if this plugin did not draw it.
        under: the node above which the result goes.
    """

    nodes: tuple[Any, ...]
    prompt: str
    under: Any


def foreground(document: Any, wanted: str | None = None) -> SelectedLayers:
    """The foreground to keep: the selected layer, else that of the group that is seen.

    If the active layer is in a group that this plugin made and that is shown, that group's foreground is chosen. Any
    other active layer is chosen itself. If it is empty or hides all that is behind it, the foreground of the group that
    is seen is chosen, or of the one drawn last if all are hidden.

    Args:
        document: Krita's document.
        wanted: unique id of a layer that is chosen instead, if it is still there.

    Raises:
        Refusal: there is no foreground.
    """
    chosen = _wanted(document, wanted, "foreground")
    if chosen is not None:
        return chosen
    node = active_layer(document)
    group = _group_of(document, node)
    if group is None:
        group = groups.last(document)
        no_cutout = node is None or hides_all(document, node) or (is_empty(node) and group is not None)
        if node is not None and not no_cutout:
            return SelectedLayers((node,), "", node)
    if group is None:
        raise Refusal(
            tr("There is no foreground to keep."),
            tr("Generate one, or select a layer that does not fill the whole canvas."),
        )
    return _foreground_of(document, group, node)


def together(document: Any, front: SelectedLayers) -> tuple[SelectedLayers, ...]:
    """A foreground with those that are seen beside it in its picture, bottom first: none of them is left behind.

    Args:
        document: Krita's document.
        front: from `foreground`; a layer that is in no group of ours is alone.
    """
    (node,) = front.nodes
    group = groups.own(document, node)
    others = [] if group is None else foregrounds_of(document, group, node)
    if identity(node) not in [identity(each) for each in others]:
        return (front,)
    return tuple(
        front if identity(each) == identity(node) else _of_group(document, group, each, "foreground") for each in others
    )


def background(document: Any, wanted: str | None = None) -> SelectedLayers:
    """The background to keep: the selected layer, else that of the group that is seen.

    If the active layer is in a group that this plugin made and that is shown, that group's background is chosen. Any
    other active layer is chosen itself. If it is empty or such a group above covers it, the background of the group
    that is seen is chosen, or of the one drawn last if all are hidden. `wanted` is as for the foreground.

    Raises:
        Refusal: there is no background.
    """
    chosen = _wanted(document, wanted, "background")
    if chosen is not None:
        return chosen
    node = active_layer(document)
    group = _group_of(document, node)
    if group is None:
        group = groups.last(document)
        if node is not None and (group is None or _is_in_sight(document, node)):
            return SelectedLayers((node,), "", node)
    if group is None:
        raise Refusal(tr("There is no background to keep."), tr("Generate one, or select a layer."))
    return _background_of(document, group)


def both(document: Any, choice: Choice = NO_CHOICE) -> tuple[SelectedLayers, SelectedLayers]:
    """The foreground to keep, chosen as in `foreground`, and the background behind it.

    The background is that of the foreground's group. If the foreground is not in a group that this plugin made, it is
    the next visible layer below that is not empty.

    Raises:
        Refusal: one of them is missing.
    """
    front = foreground(document, choice.foreground)
    behind = _wanted(document, choice.background, "background")
    if behind is not None:
        return front, behind
    (node,) = front.nodes
    group = groups.own(document, node)
    if group is not None:
        return front, _background_of(document, group)
    behind = _next_below(node)
    if behind is None:
        raise Refusal(
            tr("There is no layer below “{layer}” to be its background.", layer=node.name()),
            tr("Put the background below it, or select a layer of a generated group."),
        )
    return front, SelectedLayers((behind,), "", behind)


def foreground_of(document: Any, group: Any, node: Any | None) -> Any:
    """The foreground of a group of ours: `node` if it is one, else the topmost.

    Raises:
        Refusal: it has none any more.
    """
    return _foreground_of(document, group, node).nodes[-1]


def foregrounds_of(document: Any, group: Any, node: Any) -> list[Any]:
    """The foregrounds of a group of ours that are seen, and `node` if it is one, bottom first."""
    return [
        child
        for child in _of_role(document, group, "foreground")
        if identity(child) == identity(node) or (child.visible() and not is_empty(child))
    ]


def background_of(document: Any, group: Any) -> Any:
    """The background of a group of ours that is seen.

    Raises:
        Refusal: it has none any more.
    """
    return _background_of(document, group).nodes[-1]


def candidates(document: Any, role: str) -> list[tuple[Any, Any | None]]:
    """The layers that may be chosen for a role, each with the group of ours that contains it; the topmost first.

    These are the layers with that role in our groups, and the artist's own visible layers that are not empty.
    """
    found: list[tuple[Any, Any | None]] = []
    ours: set[str] = set()
    for _, group in groups.made(document):
        found += [(node, group) for node in _of_role(document, group, role)]
        ours |= {identity(group), *(identity(node) for node in walk(group))}
    for node in walk(document.rootNode()):
        if node.type() in READABLE and identity(node) not in ours and is_shown(node) and not is_empty(node):
            found.append((node, None))
    order = [identity(node) for node in walk(document.rootNode())]
    return sorted(found, key=lambda item: -order.index(identity(item[0])))


def _wanted(document: Any, wanted: str | None, role: str) -> SelectedLayers | None:
    """The layer that the artist has chosen in the docker; None if there is none any more."""
    node = None if wanted is None else find(document, wanted)
    if node is None:
        return None
    group = groups.own(document, node)
    if group is None or identity(group) == identity(node):
        return SelectedLayers((node,), "", node)
    return _of_group(document, group, node, role)


def _group_of(document: Any, node: Any | None) -> Any | None:
    """The group of ours that contains the active layer; if that group is hidden, the one that is seen in its place."""
    group = groups.own(document, node)
    if group is not None and not is_shown(group):
        return groups.seen(document) or group
    return group


def _next_below(node: Any) -> Any | None:
    """The nearest visible layer below that is not empty, in the same group or else in the groups around it."""
    while node.parentNode() is not None:
        siblings = node.parentNode().childNodes()
        index = [identity(sibling) for sibling in siblings].index(identity(node))
        for sibling in reversed(siblings[:index]):
            if sibling.type() in READABLE and sibling.visible() and not is_empty(sibling):
                return sibling
        node = node.parentNode()
    return None


def _is_in_sight(document: Any, node: Any) -> bool:
    """Whether a layer has pixels and no visible group of ours is above it; our backgrounds fill the canvas."""
    order = [identity(each) for each in walk(document.rootNode())]
    inside = {identity(each) for each in walk(node)}
    ours = [group for _, group in groups.made(document) if identity(group) not in inside and is_shown(group)]
    covered = any(order.index(identity(group)) > order.index(identity(node)) for group in ours)
    return not covered and not is_empty(node)


def _foreground_of(document: Any, group: Any, node: Any | None) -> SelectedLayers:
    found = _of_role(document, group, "foreground")
    if not found:
        raise Refusal(
            tr("The group “{group}” has no foreground any more.", group=group.name()),
            tr("Select a layer to keep outside of that group."),
        )
    topmost = ([child for child in found if child.visible()] or found)[-1]
    chosen = next((child for child in found if node is not None and identity(child) == identity(node)), topmost)
    return _of_group(document, group, chosen, "foreground")


def _background_of(document: Any, group: Any) -> SelectedLayers:
    found = _of_role(document, group, "background")
    if not found:
        raise Refusal(
            tr("The group “{group}” has no background any more.", group=group.name()),
            tr("Select a layer to keep outside of that group."),
        )
    shown = [child for child in found if child.visible()] or found[-1:]
    return replace(_of_group(document, group, shown[-1], "background"), nodes=tuple(shown))


def _of_role(document: Any, group: Any, role: str) -> list[Any]:
    """The layers with a role in a group that this plugin made, bottom first."""
    record = groups.recall(document, group)
    roles = {} if record is None else record.roles
    return [child for child in group.childNodes() if roles.get(identity(child)) == role]


def _of_group(document: Any, group: Any, node: Any, role: str) -> SelectedLayers:
    """A layer in a group of ours, with its own prompt."""
    record = groups.recall(document, group)
    prompt = "" if record is None else str(groups.values_of(record, identity(node)).get(role, ""))
    return SelectedLayers((node,), prompt, group)
