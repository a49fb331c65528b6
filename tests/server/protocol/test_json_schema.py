"""The exported schema has every message with every field, as in the dataclasses."""

import dataclasses
import json
import subprocess
import sys

import pytest

from layerfusion.server.protocol import json_schema
from layerfusion.server.protocol.messages import FROM_CLIENT, FROM_SERVER, TYPES, Box, Kept, LayerBegin, Submit


@pytest.fixture(scope="module")
def definitions():
    return json_schema.document()["$defs"]


def test_every_message_is_in_it_with_every_field(definitions):
    for name, message in TYPES.items():
        found = definitions[message.__name__]
        fields = dataclasses.fields(message)
        assert set(found["properties"]) == {"type", *(field.name for field in fields)}
        assert found["properties"]["type"] == {"const": name}
        assert set(found["required"]) == {"type", *(f.name for f in fields if f.default is dataclasses.MISSING)}
        assert found["description"].endswith((".", "…"))


def test_the_schema_says_who_sends_each_message(definitions):
    for name, messages in (("FromClient", FROM_CLIENT), ("FromServer", FROM_SERVER)):
        assert definitions[name]["oneOf"] == [{"$ref": f"#/$defs/{message.__name__}"} for message in messages]


def test_every_reference_can_be_resolved(definitions):
    def references(value):
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            value = list(value.values())
        if isinstance(value, list):
            for each in value:
                yield from references(each)

    assert {name.removeprefix("#/$defs/") for name in references(json_schema.document())} <= set(definitions)


def test_limits_choices_and_defaults_are_those_of_the_dataclasses(definitions):
    submit, kept, layer = (definitions[each.__name__]["properties"] for each in (Submit, Kept, LayerBegin))
    assert submit["width"] == {"type": "integer", "minimum": 1, "maximum": 65535}
    assert submit["foregrounds"]["minItems"] == 1
    assert submit["foregrounds"]["items"]["anyOf"][1] == {"$ref": "#/$defs/Kept"}
    assert submit["steps"]["anyOf"][1] == {"type": "null"}
    assert submit["steps"]["default"] is None
    assert (submit["refine"]["default"], submit["variants"]["default"]) == (0.0, [])
    assert "kind" in definitions["Kept"]["required"]
    assert kept["kind"]["enum"] == ["kept"]
    assert kept["layer"]["pattern"] == "^(?:[0-9a-f]{64})$"
    assert kept["name"] == {"type": "string", "minLength": 1, "maxLength": 255}
    assert layer["opacity"] == {"type": "number", "minimum": 0, "maximum": 1}
    assert definitions["Preview"]["properties"]["pixels"]["contentEncoding"] == "base64"
    assert definitions["Hello"]["properties"]["protocol"]["minItems"] == 2
    assert set(definitions[Box.__name__]["required"]) == {"x", "y", "width", "height"}


def test_the_command_prints_it():
    command = [sys.executable, "-m", "layerfusion.server.protocol.json_schema"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert json.loads(done.stdout.decode("utf-8")) == json_schema.document()
