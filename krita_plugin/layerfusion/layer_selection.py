"""Which layers the artist means: the selected one, or those of the group drawn last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import groups
from .jobs import Refusal
from .nodes import READABLE, active_layer, hides_all, identity, is_empty, is_shown, walk


@dataclass(frozen=True)
class SelectedLayers:
    """One layer of the picture, in Krita's terms.

    Attributes:
        nodes: what it is made of, bottom first, at least one. A kept background with holes came as two.
        prompt: the prompt it was drawn from; empty if this plugin did not draw it.
        under: the node that what is made of it goes directly above.
    """

    nodes: tuple[Any, ...]
    prompt: str
    under: Any


def foreground(document: Any) -> SelectedLayers:
    """The foreground: the selected layer, else the one drawn last.

    In a group this plugin made, any layer stands for the group's foreground. Any other layer stands for itself, unless
    it is empty or hides all that lies behind it: then the foreground drawn last is meant.

    Raises:
        Refusal: there is none.
    """
    node = active_layer(document)
    group = groups.own(document, node)
    if group is None:
        group = groups.last(document)
        no_cutout = node is None or hides_all(document, node) or (is_empty(node) and group is not None)
        if node is not None and not no_cutout:
            return SelectedLayers((node,), "", node)
    if group is None:
        raise Refusal(
            "There is no foreground to keep.", "Generate one, or select a layer that does not fill the whole canvas."
        )
    return _foreground_of(document, group, node)


def background(document: Any) -> SelectedLayers:
    """The background: the selected layer, else the one drawn last.

    In a group this plugin made, any layer stands for the group's background. Any other layer stands for itself, unless
    it is empty or lies out of sight below such a group: then the background drawn last is meant.

    Raises:
        Refusal: there is none.
    """
    node = active_layer(document)
    group = groups.own(document, node)
    if group is None:
        group = groups.last(document)
        if node is not None and (group is None or _is_in_sight(document, node)):
            return SelectedLayers((node,), "", node)
    if group is None:
        raise Refusal("There is no background to keep.", "Generate one, or select a layer.")
    return _background_of(document, group)


def both(document: Any) -> tuple[SelectedLayers, SelectedLayers]:
    """The foreground, meant as in `foreground`, and the background it stands before.

    That is the background of the foreground's group; or, if this plugin did not make one, the next layer below it that
    shows something.

    Raises:
        Refusal: one of them is missing.
    """
    front = foreground(document)
    (node,) = front.nodes
    group = groups.own(document, node)
    if group is not None:
        return front, _background_of(document, group)
    behind = _next_below(node)
    if behind is None:
        raise Refusal(
            f"There is no layer below “{node.name()}” to be its background.",
            "Put the background below it, or select a layer of a generated group.",
        )
    return front, SelectedLayers((behind,), "", behind)


def _next_below(node: Any) -> Any | None:
    """The nearest layer below that shows something, in the same group or, if there is none, in the one around it."""
    while node.parentNode() is not None:
        siblings = node.parentNode().childNodes()
        index = [identity(sibling) for sibling in siblings].index(identity(node))
        for sibling in reversed(siblings[:index]):
            if sibling.type() in READABLE and sibling.visible() and not is_empty(sibling):
                return sibling
        node = node.parentNode()
    return None


def _is_in_sight(document: Any, node: Any) -> bool:
    """Whether a layer has pixels, and no group of ours, whose background fills the canvas, is shown above it."""
    order = [identity(each) for each in walk(document.rootNode())]
    inside = {identity(each) for each in walk(node)}
    ours = [group for _, group in groups.made(document) if identity(group) not in inside and is_shown(group)]
    covered = any(order.index(identity(group)) > order.index(identity(node)) for group in ours)
    return not covered and not is_empty(node)


def _foreground_of(document: Any, group: Any, node: Any | None) -> SelectedLayers:
    found = _of_role(document, group, "foreground")
    if not found:
        raise Refusal(
            f"The foreground of “{group.name()}” is gone.", "Select the layer to keep, outside of that group."
        )
    chosen = next((child for child in found if node is not None and identity(child) == identity(node)), found[-1])
    return SelectedLayers((chosen,), _prompt(document, group, "foreground"), group)


def _background_of(document: Any, group: Any) -> SelectedLayers:
    found = _of_role(document, group, "background")
    if not found:
        raise Refusal(
            f"The background of “{group.name()}” is gone.", "Select the layer to keep, outside of that group."
        )
    shown = [child for child in found if child.visible()] or found[-1:]
    return SelectedLayers(tuple(shown), _prompt(document, group, "background"), group)


def _of_role(document: Any, group: Any, role: str) -> list[Any]:
    """The layers of a group of ours that have a role, bottom first."""
    roles = (groups.recall(document, group) or {}).get("layers", {})
    return [child for child in group.childNodes() if roles.get(identity(child)) == role]


def _prompt(document: Any, group: Any, role: str) -> str:
    return str((groups.recall(document, group) or {}).get(role, ""))
