"""The messages as JSON Schema, so that a client in another language can be generated from them.

    python -m layerfusion.server.protocol.json_schema > protocol.schema.json

Made of the dataclasses themselves, so it says what they check. Messages travel as msgpack maps; where a field holds
bytes, which JSON has not, the schema says base64. What JSON Schema cannot say, such as that a layer has four bytes for
each pixel, PROTOCOL.md does.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from . import MAJOR, MINOR
from .messages import FROM_CLIENT, FROM_SERVER, TYPES, Message
from .schema import Between, Length, Matches, Record, hints

_PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bytes: {"type": "string", "contentEncoding": "base64"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
}
_NULL = {"type": "null"}


def document() -> dict[str, Any]:
    """The schema (draft 2020-12) of any message: plain values, ready for `json.dumps`.

    `$defs` has a definition for each message and for each record within them, by the name of its class, and two that
    say who sends what: `FromClient` and `FromServer`.
    """
    definitions: dict[str, Any] = {}
    for message in TYPES.values():
        _define(message, definitions)
    definitions["FromClient"] = _one_of(FROM_CLIENT)
    definitions["FromServer"] = _one_of(FROM_SERVER)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"layerfusion protocol {MAJOR}.{MINOR}",
        "description": "One message. A receiver ignores types and fields that it does not know.",
        "anyOf": [{"$ref": "#/$defs/FromClient"}, {"$ref": "#/$defs/FromServer"}],
        "$defs": dict(sorted(definitions.items())),
    }


def _one_of(records: Iterable[type[Record]]) -> dict[str, Any]:
    return {"oneOf": [_reference(record) for record in records]}


def _reference(record: type[Record]) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{record.__name__}"}


def _define(record: type[Record], definitions: dict[str, Any]) -> None:
    """Add the definition of a record, and of all the records in it."""
    if record.__name__ in definitions:
        return
    properties: dict[str, Any] = {"type": {"const": record.type}} if issubclass(record, Message) else {}
    required = list(properties)
    definitions[record.__name__] = {
        "description": (record.__doc__ or "").partition("\n")[0],
        "type": "object",
        "properties": properties,
        "required": required,
    }
    types_of = hints(record)
    for field in dataclasses.fields(record):
        properties[field.name] = _schema(types_of[field.name], definitions)
        if field.default is dataclasses.MISSING or field.name == "kind":
            required.append(field.name)
        else:
            default: Any = [] if field.default == () else field.default  # JSON has lists
            properties[field.name] = {**properties[field.name], "default": default}


def _schema(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """What a value of an annotated type may be; see `schema` for the types there are."""
    if get_origin(hint) is Annotated:
        base, *constraints = get_args(hint)
        found = _schema(base, definitions)
        for constraint in constraints:
            found = {**found, **_limits(constraint, base)}
        return found
    origin = get_origin(hint)
    if origin is Literal:
        return {"enum": list(get_args(hint))}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_NULL if each is type(None) else _schema(each, definitions) for each in get_args(hint)]}
    if origin is tuple:
        items = get_args(hint)
        if items[-1] is Ellipsis:
            return {"type": "array", "items": _schema(items[0], definitions)}
        each = [_schema(item, definitions) for item in items]
        return {"type": "array", "prefixItems": each, "items": False, "minItems": len(each)}
    if isinstance(hint, type) and issubclass(hint, Record):
        _define(hint, definitions)
        return _reference(hint)
    return _PLAIN[hint]


def _limits(constraint: Between | Length | Matches, base: Any) -> dict[str, Any]:
    if isinstance(constraint, Between):
        return {"minimum": constraint.low, "maximum": constraint.high}
    if isinstance(constraint, Matches):
        return {"pattern": f"^(?:{constraint.pattern})$"}
    what = "Length" if base is str else "Items"
    return {f"min{what}": constraint.low, f"max{what}": constraint.high}


if __name__ == "__main__":
    print(json.dumps(document(), indent=2))
