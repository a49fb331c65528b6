"""Holds messages against the exported JSON Schema, as a client in another language would."""

import base64
from collections.abc import Mapping
from contextlib import contextmanager
from functools import cache

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from layerfusion.server.protocol import json_schema
from layerfusion.server.protocol.messages import TYPES, Message
from layerfusion.server.protocol.schema import Record
from layerfusion.server.protocol.wire import Wire


@cache
def _document():
    document = json_schema.document()
    Draft202012Validator.check_schema(document)
    return document


@cache
def _validator(name):
    document = {**_document(), "$id": "urn:layerfusion"}
    resources = Registry().with_resource("urn:layerfusion", Resource.from_contents(document))
    return Draft202012Validator({"$ref": f"urn:layerfusion#/$defs/{name}"}, registry=resources)


def problems(values):
    """What the schema has against a message's map, as short texts."""
    found = _validator(TYPES[values["type"]].__name__).iter_errors(as_json(values))
    return [f"{values['type']} {error.json_path}: {error.validator} {error.validator_value!r:.200}" for error in found]


def as_json(value):
    """A message's map with what JSON has in place of bytes and tuples."""
    if isinstance(value, Mapping):
        return {name: as_json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(each) for each in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


@contextmanager
def every_message_checked():
    """Within the block, hold all messages that are encoded, and all maps accepted as messages, against the schema.

    Yields:
        The problems that were found, and the types of the messages that were looked at.
    """
    found, seen = [], set()

    def check(values):
        seen.add(values["type"])
        found.extend(problems(values))

    encode, from_map = Wire.encode, Record.from_map.__func__

    def encode_checked(self, item):
        if isinstance(item, Message):
            check(item.to_map())
        return encode(self, item)

    def from_map_checked(cls, values):
        record = from_map(cls, values)
        if issubclass(cls, Message):
            check({"type": cls.type, **values})
        return record

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Wire, "encode", encode_checked)
        patch.setattr(Record, "from_map", classmethod(from_map_checked))
        yield found, seen
