"""The messages as JSON Schema, from which a client in another language can be generated.

    python -m layerfusion.server.protocol.json_schema > protocol.schema.json
    npx json-schema-to-typescript --unreachableDefinitions protocol.schema.json > protocol.d.ts

The schema is made from the dataclasses, so it agrees with their checks; the tests hold every message that they send or
have accepted against it. Messages are sent as msgpack maps. JSON has no bytes, so the schema says base64 for such
fields. PROTOCOL.md has the rules that JSON Schema cannot express, for example that a layer has four bytes per pixel.
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
    bytes: {"type": "string", "contentEncoding": "base64", "pattern": "^[A-Za-z0-9+/]*={0,2}$"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
}
_NULL = {"type": "null"}


def document() -> dict[str, Any]:
    """The schema (draft 2020-12) of all messages, as values for `json.dumps`.

    `$defs` has a definition for each message and each record in them, under the name of its class, and two for the
    messages of each side: `FromClient` and `FromServer`.
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
    """Add the definitions of a record and of all records in it."""
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
    """The schema for an annotated type; the module `schema` lists the supported types."""
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
    what = "Length" if base is str else "Items"  # no message limits the length of bytes
    return {f"min{what}": constraint.low, f"max{what}": constraint.high}


if __name__ == "__main__":
    print(json.dumps(document(), indent=2))
