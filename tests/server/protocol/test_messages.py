"""Messages: their fields, the values they refuse, and that PROTOCOL.md describes the same."""

import ast
import logging
import math
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import get_args

import msgpack
import pytest

from layerfusion.engine import errors as engine_errors
from layerfusion.engine import events, notices
from layerfusion.server import protocol
from layerfusion.server.protocol import errors
from layerfusion.server.protocol.errors import InvalidMessage
from layerfusion.server.protocol.messages import (
    TYPES,
    Box,
    Cancelled,
    Done,
    Example,
    Failed,
    FetchFailed,
    Generated,
    JobSummary,
    Kept,
    Limits,
    ModelInfo,
    Refused,
    Relit,
    Started,
    Submit,
    UploadRefused,
    Variant,
    from_map,
    is_last,
)
from message_examples import EXAMPLE, EXAMPLES, JOB, KEPT, LAYER, OTHER, SUBMIT
from samples import layer_begin

FOLDER = Path(protocol.__file__).parent


def changed(message, **values):
    """The message as a mapping, with some fields replaced, as another program might send it."""
    return from_map({**message.to_map(), **values})


def test_there_is_an_example_of_every_message():
    assert {type(message) for message in EXAMPLES} == set(TYPES.values())


def test_survives_msgpack(subtests):
    for message in EXAMPLES:
        with subtests.test(message.type):
            assert from_map(msgpack.unpackb(msgpack.packb(message.to_map()))) == message


def test_refuses_a_wrong_value_and_says_where(subtests):
    for message, field, value in [
        (SUBMIT, "width", 0),
        (SUBMIT, "width", -64),
        (SUBMIT, "width", 65_536),
        (SUBMIT, "width", 64.0),
        (SUBMIT, "width", True),
        (SUBMIT, "width", "64"),
        (SUBMIT, "width", None),
        (SUBMIT, "job", JOB.upper()),
        (SUBMIT, "job", JOB + "\n"),
        (SUBMIT, "job", "../../etc/passwd"),
        (SUBMIT, "seed", 2**53),
        (SUBMIT, "seed", 0.5),
        (SUBMIT, "guidance_scale", math.nan),
        (SUBMIT, "guidance_scale", math.inf),
        (SUBMIT, "guidance_scale", "5"),
        (SUBMIT, "guidance_scale", False),
        (SUBMIT, "harmony", "loud"),
        (SUBMIT, "harmony", ["clean"]),
        (SUBMIT, "blended_prompt", 5),
        (SUBMIT, "blended_prompt", "\ud800"),
        (SUBMIT, "blended_prompt", "x" * 200_001),
        (SUBMIT, "background", None),
        (SUBMIT, "background", "a beach"),
        (SUBMIT, "background", {"prompt": "a beach"}),
        (SUBMIT, "background", {"kind": "generated"}),
        (SUBMIT, "background", {"kind": "stolen", "prompt": "a beach"}),
        (SUBMIT, "foregrounds", []),
        (SUBMIT, "foregrounds", [{"kind": "generated", "prompt": "x"}] * 65),
        (SUBMIT, "foregrounds", {"kind": "generated", "prompt": "x"}),
        (SUBMIT, "foregrounds", [{**KEPT.to_map(), "layer": "../x"}]),
        (SUBMIT, "foregrounds", [{**KEPT.to_map(), "x": 2**31}]),
        (SUBMIT, "foregrounds", [{**KEPT.to_map(), "name": ""}]),
        (SUBMIT, "foregrounds", [{**KEPT.to_map(), "format": "rgba16"}]),
        (SUBMIT, "foregrounds", [[]]),
        (SUBMIT, "priority", "urgent"),
        (SUBMIT, "replaces", ""),
        (SUBMIT, "variants", [{"job": JOB, "seed": 1}]),
        (SUBMIT, "variants", [{"job": OTHER, "seed": 1}, {"job": OTHER, "seed": 2}]),
        (SUBMIT, "variants", [{"job": OTHER}]),
        (SUBMIT, "variants", [{"job": f"{JOB[:-2]}{i:02x}", "seed": i} for i in range(16)]),
        (EXAMPLE["hello"], "protocol", [1]),
        (EXAMPLE["hello"], "protocol", [1, "0"]),
        (EXAMPLE["hello"], "protocol", "1.0"),
        (EXAMPLE["hello"], "client", ""),
        (EXAMPLE["upload"], "bytes", 0),
        (EXAMPLE["upload"], "transfer", 2**32),
        (EXAMPLE["upload"], "codec", "lzma"),
        (LAYER, "bytes", 23),
        (LAYER, "opacity", 1.01),
        (LAYER, "visible", 1),
        (LAYER, "seq", 0),
        (EXAMPLE["progress"], "step", 21),
        (EXAMPLE["progress"], "total", 0),
        (EXAMPLE["preview"], "width", 257),
        (EXAMPLE["preview"], "pixels", "text"),
        (EXAMPLE["preview"], "pixels", bytes(7)),
    ]:
        with subtests.test(f"{message.type}.{field}", value=value):
            with pytest.raises(InvalidMessage) as caught:
                changed(message, **{field: value})
            assert len(caught.value.message) < 250
            if not (isinstance(value, list | dict) and field in ("background", "foregrounds", "variants")):
                assert message.type in caught.value.message


def test_a_message_with_a_wrong_value_cannot_be_constructed():
    with pytest.raises(InvalidMessage, match=r"submit.width is 0; it must be from 1 to 65535"):
        Submit(job=JOB, width=0, height=64, background=Generated(prompt="x"), foregrounds=(KEPT,), model="tiny")


def test_every_field_without_a_default_is_required(subtests):
    for message in EXAMPLES:
        with subtests.test(message.type):
            for field in fields(message):
                values = message.to_map()
                del values[field.name]
                if field.default is MISSING:
                    with pytest.raises(InvalidMessage, match=rf"^{message.type}\.{field.name} is missing\.$"):
                        from_map(values)
                else:
                    assert getattr(from_map(values), field.name) == field.default


def test_unknown_fields_are_ignored_with_a_log_line(caplog):
    with caplog.at_level(logging.INFO):
        assert changed(SUBMIT, mood="happy", background={**SUBMIT.background.to_map(), "weather": "fine"}) == SUBMIT
    assert "mood" in caplog.text
    assert "weather" in caplog.text


def test_unknown_types_are_ignored_with_a_log_line(caplog):
    with caplog.at_level(logging.INFO):
        assert from_map({"type": "telepathy", "job": JOB}) is None
    assert "telepathy" in caplog.text


def test_secrets_and_pixels_stay_out_of_error_messages():
    with pytest.raises(InvalidMessage, match="is 999 bytes"):
        changed(EXAMPLE["preview"], role=bytes(999))


def test_protocol_md_names_every_message_field_and_code():
    page = (FOLDER / "PROTOCOL.md").read_text(encoding="utf-8")
    records = [*TYPES.values(), ModelInfo, Limits, Example, Generated, Kept, Variant, JobSummary]
    names = {field.name for record in records for field in fields(record)} | set(TYPES)
    codes = {cls.code for module in (errors, engine_errors) for cls in vars(module).values() if hasattr(cls, "code")}
    abstract = {"protocol_error", "engine_error", "file_error", "model_error"}
    never_sent = {"unreadable_file", "unknown_format", "no_such_layer"}
    codes |= {*get_args(events.Stage), *get_args(notices.NoticeCode)}
    missing = {name for name in names | codes - abstract - never_sent if not mentions(page, name)}
    assert not missing


def mentions(page, name):
    return any(
        f"{before}{name}{after}" in page for before in "`{ " for after in "`: }," if (before, after) != (" ", " ")
    )


def test_the_plugins_oldest_python_can_read_it(subtests):
    for path in sorted(FOLDER.glob("*.py")):
        with subtests.test(path.name):
            ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))


def test_a_job_knows_the_version_it_needs(subtests):
    drawn = Generated(prompt="a beach")
    plain = Submit(job=JOB, width=64, height=64, background=drawn, foregrounds=(drawn,), model="tiny")
    relit = Relit(**{n: v for n, v in KEPT.to_map().items() if n not in ("kind", "format")})
    for minor, changes in [
        (0, {}),
        (0, {"foregrounds": (KEPT,)}),
        (1, {"priority": "batch"}),
        (1, {"variants": (Variant(job=OTHER, seed=9),)}),
        (2, {"background": KEPT}),
        (2, {"foregrounds": (relit,)}),
        (2, {"foregrounds": (Generated(prompt="a", box=Box(x=0, y=0, width=64, height=64)),)}),
        (2, {"blended_strength": 1.0}),
        (3, {"refine": 0.1}),
        (3, {"literal_prompts": True}),
        (3, {"foregrounds": (replace(KEPT, opacity=0.5),), "preset": "fast"}),
    ]:
        with subtests.test(minor=minor, changes=changes):
            assert replace(plain, **changes).minor == minor


def test_refusals_are_made_from_the_error():
    error = errors.UnknownJob("x" * 5000, "y" * 5000)
    for message in (Refused.of(error), UploadRefused.of(error, transfer=3), Failed.of(error, job=JOB, seq=0)):
        assert (message.code, len(message.message), len(message.hint)) == ("unknown_job", 4000, 4000)
    assert Refused.of(FetchFailed.of(engine_errors.UnknownModel("No model.", "Get one."), job=JOB)) == Refused(
        code="unknown_model", message="No model.", hint="Get one."
    )


def test_a_jobs_title_is_made_of_its_shortened_prompts():
    several = (Generated(prompt=" an\n apple "), Generated(prompt="word " * 20), Generated(prompt="x" * 40))
    named = replace(SUBMIT, foregrounds=several, background=Generated(prompt="a beach"))
    assert named.title == f"an apple + word word word word word word word word… + {'x' * 40} + a beach"
    assert len(replace(SUBMIT, foregrounds=several * 20).title) == 255
    empty = replace(SUBMIT, foregrounds=(Generated(prompt=""),), background=Generated(prompt=""))
    assert empty.title == " + "


def test_a_submission_is_one_message_for_each_picture():
    variants = (Variant(job=OTHER, seed=9),)
    first, second = replace(SUBMIT, variants=variants).jobs()
    assert first == replace(SUBMIT, variants=variants)
    assert second == replace(SUBMIT, job=OTHER, seed=9)
    assert SUBMIT.jobs() == (SUBMIT,)


def test_a_job_is_over_with_its_last_event_only(subtests):
    failed = Failed(job=JOB, seq=1, code="internal_error", message="x", hint="")
    for event, last in [
        (Started(job=JOB, seq=1), False),
        (Done(job=JOB, seq=1, layers=1), True),
        (failed, True),
        (Cancelled(job=JOB, seq=1), True),
    ]:
        with subtests.test(event.type):
            assert is_last(event) is last


def test_a_layer_does_not_skip_more_bytes_than_it_has():
    begin = layer_begin(JOB, width=2, height=2, bytes=16, skipped=16)
    assert begin.skipped == 16
    with pytest.raises(InvalidMessage, match=r"skipped is 17, beyond the 16 bytes"):
        replace(begin, skipped=17)
