"""The groups of layers that this plugin made, and the records about them, which Krita saves in the document.

The record of a group is an annotation of the document, named by the group's unique id. A group that the artist has
duplicated has other ids and no record of its own. It is recognised by the names of its layers, in any language, or else
by their number and blending modes, which are those of a group with a record.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from . import layer_names
from .nodes import identity, is_mask, is_shown, walk
from .protocol.titles import prompts_in

ANNOTATION = "layerfusion/"
"""Prefix of our annotations' names; the unique id of the group follows. Krita saves annotations in the .kra file."""

VARIANT = "variant"
"""The field of a record with the press and the number of a picture that has variants."""


@dataclass(frozen=True)
class Record:
    """What is known about a group that this plugin made.

    Attributes:
        values: prompts, seed and settings, as they were saved.
        roles: unique id of each layer in the group -> its role.
        made: when it was drawn, in seconds since 1970; 0 if that is unknown.
    """

    values: dict[str, Any]
    roles: dict[str, str]
    made: float

    @property
    def made_of(self) -> str:
        """What the server has told about the picture with `Done.record`; empty if it has not."""
        return str(self.values.get("made_of", ""))

    @property
    def variant(self) -> tuple[str, int] | None:
        """The press of a button that drew it and its number from 1; None if it was the only picture of its press."""
        return variant_of(self.values)


def variant_of(values: dict[str, Any]) -> tuple[str, int] | None:
    """Of the values of a record, the press and the number of a variant; None if it is none."""
    variant = values.get(VARIANT)
    if isinstance(variant, list) and len(variant) == 2 and isinstance(variant[0], str) and isinstance(variant[1], int):
        return variant[0], variant[1]
    return None


def places(record: Record) -> dict[str, int]:
    """Unique id -> index, from the bottom, of each layer with a role among those that were drawn into the group.

    The layers of a duplicated group take the places of those with the same role, in their order.
    """
    own, order = list(record.values["layers"]) if "layers" in record.values else [], _order_of(record.values)
    free: dict[str, list[int]] = {}
    for place, (_, _, role) in enumerate(order):
        if place >= len(own) or own[place] not in record.roles:
            free.setdefault(role, []).append(place)
    found = {layer: own.index(layer) for layer in record.roles if layer in own}
    for layer, role in record.roles.items():
        if layer not in found and free.get(role):
            found[layer] = free[role].pop(0)
    return found


def values_of(record: Record, layer: str) -> dict[str, Any]:
    """The values of a record as they are true of one of its layers: a further foreground has its own prompt and seed.

    Args:
        record: the record of its group.
        layer: unique id of the layer.
    """
    number = _foreground_number(record, layer)
    if number == 0:
        return record.values
    others = record.values.get("others")
    other = others[number - 1] if isinstance(others, list) and number <= len(others) else None
    values = other if isinstance(other, dict) else {}
    prompt, seed = values.get("prompt"), values.get("seed")
    own = {} if not isinstance(seed, int) else {"seed": seed}
    return {**record.values, "foreground": prompt if isinstance(prompt, str) else "", **own}


def _foreground_number(record: Record, layer: str) -> int:
    """Which of the picture's foregrounds a layer is, from 0 at the bottom; 0 for layers with another role."""
    if record.roles.get(layer) != "foreground":
        return 0
    place = places(record).get(layer)
    if place is None:  # nothing is known but what is in the group now
        return [each for each, role in record.roles.items() if role == "foreground"].index(layer)
    drawn = [role for _, _, role in _order_of(record.values)] or list(record.values["layers"].values())
    return drawn[:place].count("foreground")


def name_of(group: Any) -> str:
    """The name of the annotation about a group."""
    return ANNOTATION + identity(group)


def as_text(values: dict[str, Any], group: Any, roles: list[str]) -> str:
    """The annotation about a group that is made now: JSON, with the current time.

    Args:
        values: how the group was made, as JSON values.
        group: the group.
        roles: the role of each of its layers, bottom first.
    """
    children = group.childNodes()
    order = [[child.name(), child.blendingMode(), role] for child, role in zip(children, roles, strict=True)]
    layers = {identity(child): role for child, role in zip(children, roles, strict=True)}
    return json.dumps({**values, "title": group.name(), "layers": layers, "order": order, "made": time.time()})


def moved(record: Record, group: Any, copy: Any) -> str:
    """The annotation about a copy that takes the place of a group and is no variant any more: JSON."""
    pairs = zip(group.childNodes(), copy.childNodes(), strict=True)
    layers = {identity(new): record.roles[identity(old)] for old, new in pairs if identity(old) in record.roles}
    values = {name: value for name, value in record.values.items() if name != VARIANT}
    return json.dumps({**values, "title": copy.name(), "layers": layers})


def recall(document: Any, group: Any) -> Record | None:
    """The record about a group; None if this plugin did not make it."""
    own = _load(document, name_of(group))
    return _recognise([each for _, each in saved(document)], group) if own is None else _record(own, group)


def recalled(document: Any) -> list[tuple[Any, Record]]:
    """The groups in the document that this plugin made, each with its record; bottom first."""
    by_name = dict(saved(document))
    nodes = [node for node in walk(document.rootNode()) if node.type() == "grouplayer"]
    own = [(node, by_name.get(name_of(node))) for node in nodes]
    everything = list(by_name.values())
    records = [
        (node, _recognise(everything, node) if values is None else _record(values, node)) for node, values in own
    ]
    return [(node, record) for node, record in records if record is not None]


def own(document: Any, node: Any | None) -> Any | None:
    """The innermost group made by this plugin that is `node` or contains it; None if there is none.

    The document's root is a group, too, and never ours, whatever its layers are named.
    """
    while node is not None and node.parentNode() is not None:
        if node.type() == "grouplayer" and recall(document, node) is not None:
            return node
        node = node.parentNode()
    return None


def made(document: Any) -> list[tuple[float, Any]]:
    """The groups in the document that this plugin made, each with the time, in seconds since 1970; bottom first."""
    return [(record.made, node) for node, record in recalled(document)]


def seen(document: Any) -> Any | None:
    """The topmost of our groups that are shown, which covers the others; None if none is shown."""
    return next((group for _, group in reversed(made(document)) if is_shown(group)), None)


def last(document: Any) -> Any | None:
    """The group to work on if no layer of one is selected: the one that is seen, else the one that was drawn last.

    None if the document has none.
    """
    return seen(document) or max(made(document), key=lambda item: item[0], default=(0, None))[1]


def topmost_on(document: Any, node: Any) -> Any:
    """The topmost of our groups that follow without a gap directly above a layer; the layer itself if there is none."""
    # Krita keeps the selection as a mask among the layers; it hides nothing
    siblings = [sibling for sibling in node.parentNode().childNodes() if not is_mask(sibling)]
    index = [identity(sibling) for sibling in siblings].index(identity(node))
    while index + 1 < len(siblings) and _is_result(document, siblings[index + 1]):
        index += 1
    return siblings[index]


def set_around(document: Any, group: Any) -> Any | None:
    """The group with the variants of one press that contains a group of ours; None if it is in none.

    It has nothing but such variants, by which a duplicate of it is recognised, too.
    """
    around = group.parentNode()
    if around is None or around.parentNode() is None:
        return None
    records = [recall(document, child) for child in around.childNodes() if not is_mask(child)]
    variants = [None if record is None else record.variant for record in records]
    presses = {None if variant is None else variant[0] for variant in variants}
    return around if len(presses) == 1 and None not in presses else None


def _is_result(document: Any, node: Any) -> bool:
    """Whether a node is a group of ours, or a set of variants."""
    if node.type() != "grouplayer":
        return False
    inside = [child for child in node.childNodes() if child.type() == "grouplayer"]
    return recall(document, node) is not None or any(set_around(document, child) is not None for child in inside[:1])


# ---- records ---------------------------------------------------------------------------------------------------------


def saved(document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of the document, of groups that are there and of deleted ones, each with its annotation's name."""
    for name in document.annotationTypes():
        if name.startswith(ANNOTATION) and (values := _load(document, name)) is not None:
            yield name, values


def _record(values: dict[str, Any], group: Any) -> Record:
    """The record that was saved about a group."""
    ids = {key: role for key, role in values["layers"].items() if isinstance(role, str)}
    named = _roles_by_name(group, _names_of(values), known=ids)
    return Record(values, {**named, **ids}, values["made"])


def _load(document: Any, annotation: str) -> dict[str, Any] | None:
    try:
        values = json.loads(bytes(document.annotation(annotation)))
    except ValueError:
        return None
    if not isinstance(values, dict) or not isinstance(values.get("layers"), dict):
        return None  # the file may come from a stranger
    return values if isinstance(values.get("made"), (int, float)) else None


def _order_of(values: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, blending mode and role of each layer, bottom first; empty in older records."""
    order = values.get("order")
    if not isinstance(order, list):
        return []
    whole = [each for each in order if isinstance(each, list) and len(each) == 3]
    return [(name, blend, role) for name, blend, role in whole if all(isinstance(x, str) for x in (name, blend, role))]


def _names_of(values: dict[str, Any]) -> dict[str, str]:
    return {name: role for name, _, role in _order_of(values)} or layer_names.roles()  # older records have none


# ---- groups without a record of their own ----------------------------------------------------------------------------


def _recognise(records: list[dict[str, Any]], group: Any) -> Record | None:
    """The record of a group of ours that has none of its own, made from those of the document's other groups."""
    children = [child for child in group.childNodes() if not is_mask(child)]
    if len(children) < 2:
        return None
    found = []
    for same in _by_order(records):
        order, named = _order_of(same[0]), _roles_by_name(group, _names_of(same[0]))
        for values in same:
            titled = _is_named(group, values.get("title"))
            roles = named
            if not _is_whole(roles) or not (titled or _is_lit(roles)):
                roles = _roles_by_place(children, order, titled)
            if _is_whole(roles):
                found.append((titled, values["made"], values, roles))
    if found:
        _, when, values, roles = max(found, key=lambda item: item[:2])
        return Record(values, roles, when)
    roles = _roles_by_name(group, layer_names.roles())
    if not (_is_whole(roles) and _is_lit(roles)):
        return None
    return Record(_values_by_title(group), roles, 0)  # copied from another document, or from a PSD or OpenRaster file


def _by_order(records: list[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    """The records whose groups had the same layers together: a document has many records, but few kinds of them."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for values in records:
        kinds.setdefault(json.dumps(values.get("order")), []).append(values)
    return kinds.values()


def _values_by_title(group: Any) -> dict[str, Any]:
    """The prompts in the name of a group, which is all that other formats keep of its record."""
    first, *others, background = prompts_in(group.name()) or ("", "")
    if not background:
        return {}
    return {"foreground": first, "others": [{"prompt": prompt} for prompt in others], "background": background}


def _is_whole(roles: dict[str, str]) -> bool:
    return {"foreground", "background"} <= set(roles.values())


def _is_lit(roles: dict[str, str]) -> bool:
    return not {"shadow", "light"}.isdisjoint(roles.values())


def _is_named(node: Any, name: object) -> bool:
    return isinstance(name, str) and layer_names.is_named(node.name(), name)


def _roles_by_name(group: Any, names: dict[str, str], known: dict[str, str] | None = None) -> dict[str, str]:
    """Unique id -> role of the layers whose name tells it. A role that a `known` layer in the group has stays its."""
    children = [child for child in group.childNodes() if not is_mask(child)]
    known = known or {}
    taken = {known[identity(child)] for child in children if identity(child) in known}
    found = {}
    for child in children:
        role = next((role for name, role in names.items() if _is_named(child, name)), None)
        if role is not None and role not in taken and identity(child) not in known:
            found[identity(child)] = role
    return found


def _roles_by_place(children: list[Any], order: list[tuple[str, str, str]], titled: bool) -> dict[str, str]:
    """Unique id -> role of the layers of a group with the same blending modes in the same order; else nothing.

    If the group has another name, too, one of its layers must have a blending mode that is not the usual one.
    """
    blends = [blend for _, blend, _ in order]
    if [child.blendingMode() for child in children] != blends or not (titled or {"multiply", "add"} & set(blends)):
        return {}
    return {identity(child): role for child, (_, _, role) in zip(children, order, strict=True)}
