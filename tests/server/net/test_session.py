"""The session without a socket: frames in, effects out."""

import hashlib
from dataclasses import replace

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerfusion.server.config import ServerConfig
from layerfusion.server.net.rate_limits import TokenBucket
from layerfusion.server.net.session import MAX_MESSAGE, Close, Commit, Drop, Keep, Send, Session
from layerfusion.server.protocol.frames import Chunk, split
from layerfusion.server.protocol.messages import (
    Cancel,
    Done,
    Failed,
    Generated,
    Hello,
    Progress,
    Refused,
    Resume,
    Submit,
    Upload,
    UploadRefused,
    Welcome,
)
from layerfusion.server.protocol.wire import Wire
from layerfusion.server.translate import limits, model_infos

JOB = "2f1e8a52-0f5b-4b0e-9d6c-3f0a51c7d901"
WIRE = Wire(msgpack.packb, msgpack.unpackb)
WELCOME = Welcome(
    protocol=(1, 0),
    version="0.1.0",
    instance="a",
    models=model_infos(),
    limits=limits(ServerConfig(layer_bytes=1_000_000)),
    codecs=("raw",),
)
HELLO = Hello(protocol=(1, 0), client="test", version="1")
SUBMIT = Submit(
    job=JOB,
    width=64,
    height=64,
    background=Generated(prompt="a beach"),
    foregrounds=(Generated(prompt="an apple"),),
    model="tiny",
)
PIXELS = bytes(range(256)) * 2000
UPLOAD = Upload(transfer=3, layer=hashlib.sha256(PIXELS).hexdigest(), bytes=len(PIXELS))


@pytest.fixture
def session():
    return greeted()


def greeted():
    session = Session(WELCOME)
    assert receive(session, HELLO) == [Send(WELCOME)]
    return session


def receive(session, item):
    return session.receive(WIRE.encode(item))


def refusal(effects):
    """The code of the `Refused` in the effects."""
    match effects:
        case [Send(Refused(code=code)), Close(1008)]:
            return code
    raise AssertionError(f"not refused: {effects}")


def test_hello_comes_first(subtests):
    for item in [SUBMIT, Cancel(job=JOB), Upload(transfer=0, layer="0" * 64, bytes=4), Chunk(0, 0, b"x")]:
        with subtests.test(type(item).__name__):
            assert refusal(receive(Session(WELCOME), item)) == "unexpected_message"


def test_hello_comes_once(session):
    assert refusal(receive(session, HELLO)) == "unexpected_message"


def test_another_major_version_is_refused_whatever_else_it_says(subtests):
    for major, update in [(0, "client"), (2, "server")]:
        with subtests.test(major=major, update=update):
            frame = msgpack.packb({"type": "hello", "protocol": [major, 3], "who": ["somebody", "new"]})
            effects = Session(WELCOME).receive(frame)
            assert refusal(effects) == "unsupported_version"
            assert effects[0].message.hint == f"Update the {update}."


def test_another_minor_version_is_welcome():
    assert receive(Session(WELCOME), Hello(protocol=(1, 99), client="new", version="9")) == [Send(WELCOME)]


def test_a_client_older_than_the_codes_of_stages_is_sent_the_words(subtests):
    said = Progress(job=JOB, stage="reading_prompts", text="reading the prompts", step=0, total=1)
    for minor, stage in [(0, "reading the prompts"), (2, "reading the prompts"), (3, "reading_prompts")]:
        with subtests.test(minor=minor):
            session = Session(WELCOME)
            receive(session, Hello(protocol=(1, minor), client="old", version="1"))
            assert session.adapted(said).stage == stage
            assert session.adapted(replace(said, text="")).stage == "reading_prompts"
            for other in (Chunk(0, 0, b"x"), Done(job=JOB, seq=1, layers=1)):
                assert session.adapted(other) is other


def test_malformed_bytes_are_refused(subtests):
    for frame in [b"", b"garbage", b"\xc1", b"\x01", msgpack.packb([1])]:
        with subtests.test(frame=frame):
            assert refusal(greeted().receive(frame)) == "bad_frame"


def test_a_text_frame_is_refused(session):
    effects = session.receive("{}")
    assert effects[0].message.code == "bad_frame"
    assert effects[1] == Close(1003)


def test_a_message_longer_than_any_job_is_refused_before_it_is_unpacked(session):
    assert refusal(session.receive(b"\xc1" * (MAX_MESSAGE + 1))) == "too_large"


def test_messages_and_tiny_chunks_are_counted_and_large_chunks_are_not():
    session = Session(WELCOME, TokenBucket(rate=0, burst=3))
    receive(session, HELLO)
    receive(session, UPLOAD)
    for chunk in split(3, PIXELS):
        receive(session, chunk)
    assert receive(session, Chunk(3, 9, b"x")) == []
    assert refusal(receive(session, Cancel(job=JOB))) == "too_fast"


def test_requests_are_returned_to_the_caller(subtests):
    for message in [SUBMIT, Cancel(job=JOB), Resume(job=JOB, after=2)]:
        with subtests.test(message.type):
            assert receive(greeted(), message) == [message]


def test_unknown_messages_are_ignored(session):
    assert session.receive(msgpack.packb({"type": "telepathy"})) == []


def test_messages_that_only_servers_send_are_refused(session):
    assert refusal(receive(session, Done(job=JOB, seq=1, layers=1))) == "unexpected_message"


def test_an_invalid_submission_fails_and_the_session_continues(session):
    effects = session.receive(msgpack.packb({**SUBMIT.to_map(), "width": "wide"}))
    match effects:
        case [Send(Failed(job=job, seq=0, code="invalid_message", message=message))]:
            assert job == JOB
            assert message == "submit.width is 'wide'; it must be a whole number."
        case _:
            pytest.fail(str(effects))
    assert receive(session, SUBMIT) == [SUBMIT]


def test_other_invalid_messages_are_refused(subtests):
    for values in [{**SUBMIT.to_map(), "job": 5}, {"type": "submit"}, {"type": "cancel", "job": "x"}]:
        with subtests.test(values=values):
            assert refusal(greeted().receive(msgpack.packb(values))) == "invalid_message"


def test_an_upload_is_written_by_chunks_and_committed_at_its_end(session):
    assert receive(session, UPLOAD) == [UPLOAD]
    effects = [effect for chunk in split(3, PIXELS) for effect in receive(session, chunk)]
    assert effects[-1] == Commit(UPLOAD)
    assert b"".join(effect.data for effect in effects[:-1]) == PIXELS
    assert all(isinstance(effect, Keep) for effect in effects[:-1])


def test_other_messages_may_come_between_chunks(session):
    receive(session, UPLOAD)
    first, second = split(3, PIXELS)
    receive(session, first)
    assert receive(session, Cancel(job=JOB)) == [Cancel(job=JOB)]
    assert receive(session, second)[-1] == Commit(UPLOAD)


def dropped(effects):
    match effects:
        case [Drop(), Send(UploadRefused(transfer=3, code=code))]:
            return code
    raise AssertionError(f"not dropped: {effects}")


def test_more_than_announced_is_refused(session):
    receive(session, Upload(transfer=3, layer=UPLOAD.layer, bytes=1000))
    assert dropped(receive(session, next(split(3, PIXELS)))) == "bad_transfer"
    assert receive(session, Chunk(3, 1, b"late")) == []


def test_other_pixels_than_announced_are_refused(session):
    receive(session, Upload(transfer=3, layer="0" * 64, bytes=len(PIXELS)))
    first, second = split(3, PIXELS)
    receive(session, first)
    assert dropped(receive(session, second)) == "bad_transfer"


def test_a_missing_chunk_is_noticed(session):
    receive(session, UPLOAD)
    assert dropped(receive(session, Chunk(3, 1, b"x"))) == "bad_transfer"
    assert receive(session, UPLOAD) == [UPLOAD], "and the next upload is taken"


def test_a_layer_that_is_too_large_is_refused_before_it_comes(session):
    (effect,) = receive(session, Upload(transfer=3, layer="0" * 64, bytes=1_000_004))
    assert effect.message.code == "too_large"
    assert receive(session, Chunk(3, 0, b"x")) == []


def test_one_upload_at_a_time(session):
    receive(session, UPLOAD)
    (effect,) = receive(session, Upload(transfer=4, layer="0" * 64, bytes=4))
    assert (effect.message.transfer, effect.message.code) == (4, "unexpected_message")
    assert [type(effect) for chunk in split(3, PIXELS) for effect in receive(session, chunk)][-1] is Commit


def test_a_layer_that_the_server_has_needs_no_chunks(session):
    receive(session, UPLOAD)
    session.end_upload()
    assert receive(session, Chunk(3, 0, b"x")) == []


FRAMES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=20),
    st.sampled_from([HELLO, SUBMIT, UPLOAD, Cancel(job=JOB), *split(3, PIXELS), Chunk(9, 0, b"x")]).map(WIRE.encode),
    st.tuples(
        st.sampled_from([HELLO, SUBMIT, UPLOAD]).map(WIRE.encode), st.integers(0, 400), st.binary(max_size=4)
    ).map(lambda mutation: mutation[0][: mutation[1]] + mutation[2] + mutation[0][mutation[1] + len(mutation[2]) :]),
)


@given(st.lists(FRAMES, max_size=12))
def test_nothing_a_client_sends_raises(frames):
    session = greeted()
    for frame in frames:
        for effect in session.receive(frame):
            if isinstance(effect, Send):
                WIRE.encode(effect.message)
