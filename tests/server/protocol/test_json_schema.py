"""The exported schema has every message with every field, as in the dataclasses."""

import dataclasses
import json
import subprocess
import sys

import msgpack
import pytest

from against_schema import every_message_checked, problems
from layerfusion.server.protocol import json_schema
from layerfusion.server.protocol.errors import InvalidMessage
from layerfusion.server.protocol.messages import (
    FROM_CLIENT,
    FROM_SERVER,
    TYPES,
    Box,
    Kept,
    LayerBegin,
    Progress,
    Submit,
    from_map,
)
from layerfusion.server.protocol.wire import Wire
from message_examples import EXAMPLES

WIRE = Wire(msgpack.packb, msgpack.unpackb)


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


def test_every_message_agrees_with_it(subtests):
    for message in EXAMPLES:
        with subtests.test(message.type):
            assert not problems(message.to_map())


LONG = "x" * 5000
WRONG = [None, True, -1, 0.5, 2**53, "", LONG, "no id", [], [None], {}, {"kind": "none"}]


def test_the_schema_and_the_classes_refuse_the_same(subtests):
    """A single wrong or missing field; only rules between several fields are left to the classes."""
    for message in EXAMPLES:
        values = message.to_map()
        changed = [
            {**values, name: wrong}
            for name in values.keys() - {"type"}
            for wrong in WRONG
            if not (isinstance(values[name], bytes) and wrong in ("", LONG))  # texts that are base64, too
        ]
        missing = [{name: values[name] for name in values if name != left_out} for left_out in values.keys() - {"type"}]
        with subtests.test(message.type):
            assert not [case for case in changed + missing if _is_accepted(case) == bool(problems(case))]


def _is_accepted(case):
    try:
        from_map(case)
    except InvalidMessage as error:
        return str(error).endswith(BETWEEN_FIELDS)
    return True


BETWEEN_FIELDS = ("its total.",)
"""How refusals end that are about several fields at once."""


def test_a_message_that_disagrees_would_be_noticed(schema):
    """The check that all tests of the server run under can fail."""
    definition = json_schema.document()["$defs"]["Progress"]
    assert definition["properties"]["step"]["minimum"] == 0
    wrong = object.__new__(Progress)
    for name, value in {"job": "no id", "stage": "", "text": "", "step": -1, "total": 0, "eta": None}.items():
        object.__setattr__(wrong, name, value)
    with every_message_checked() as (found, seen):
        WIRE.encode(wrong)
    assert seen == {"progress"}
    assert len(found) == 4
    assert schema == found
    schema.clear()  # it was noticed there, too
