"""The set of the variants of a press: one group with all its pictures, of which one is visible."""

from __future__ import annotations

from typing import Any

from . import groups
from .nodes import active_layer, identity, is_mask
from .translation import tr


def name_of(title: str, number: int, seed: int) -> str:
    """The name of a variant's group. The number comes first, because Krita's list of layers cuts names at their end."""
    return f"{number} · {tr('seed {seed}', seed=seed)} · {title}"


def find(document: Any, press: str) -> Any | None:
    """The set with the variants of a press; None if it is not in the document."""
    for group, record in groups.recalled(document):
        is_one = record.variant is not None and record.variant[0] == press
        if is_one and (around := groups.set_around(document, group)) is not None:
            return around
    return None


def whole(document: Any, node: Any) -> Any:
    """The set of which a node is a variant; else the node itself."""
    return groups.set_around(document, node) or node


def current(document: Any) -> tuple[Any, list[Any], int] | None:
    """The set on which the artist works, its variants in their order, and the index of the one that is visible.

    It is that of the active layer, else that which is seen. None if there is none.
    """
    node = active_layer(document)
    inside = groups.own(document, node)
    around = None if inside is None else groups.set_around(document, inside)
    if around is None and node is not None and node.type() == "grouplayer" and node.parentNode() is not None:
        first = next((child for child in node.childNodes() if not is_mask(child)), None)
        around = None if first is None else groups.set_around(document, first)
    if around is None and inside is None and (seen := groups.seen(document)) is not None:
        around = groups.set_around(document, seen)
    if around is None:
        return None
    variants = [child for child in around.childNodes() if not is_mask(child)]
    variants.sort(key=lambda child: _number(document, child))
    visible = [index for index, child in enumerate(variants) if child.visible()]
    return around, variants, visible[-1] if visible else 0


def step(document: Any, by: int) -> None:
    """Show the variant that comes so many places later in the set, from the last one on to the first, and hide the
    others."""
    found = current(document)
    if found is None:
        return
    _, variants, index = found
    chosen = variants[(index + by) % len(variants)]
    for each in variants:
        each.setVisible(identity(each) == identity(chosen))
    document.refreshProjection()
    document.setActiveNode(chosen)


def keep(document: Any) -> dict[str, str]:
    """Replace the set by a copy of the variant that is visible: Krita cannot take a group out of another in one step.

    Krita makes the copy the active layer.

    Returns:
        The record of the copy: name of the annotation -> text. The caller must save it.
    """
    found = current(document)
    if found is None:
        return {}
    around, variants, index = found
    record = groups.recall(document, variants[index])
    copy = variants[index].duplicate()
    copy.setVisible(True)
    saved = {} if record is None else {groups.name_of(copy): groups.moved(record, variants[index], copy)}
    around.parentNode().addChildNode(copy, around)
    around.remove()
    return saved


def _number(document: Any, group: Any) -> int:
    record = groups.recall(document, group)
    return 0 if record is None or record.variant is None else record.variant[1]
