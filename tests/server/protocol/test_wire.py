"""Encoding and decoding messages with both msgpack implementations: the compiled one, and the plugin's pure Python."""

import contextlib
import json

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgpack import fallback

from layerfusion.server.protocol.errors import BadFrame, InvalidMessage
from layerfusion.server.protocol.frames import CHUNK_BYTES, MAX_FRAME, Chunk
from layerfusion.server.protocol.messages import Cancel, Generated, Submit
from layerfusion.server.protocol.wire import Wire

JOB = "2f1e8a52-0f5b-4b0e-9d6c-3f0a51c7d901"
CANCEL = Cancel(job=JOB)


COMPILED = Wire(msgpack.packb, msgpack.unpackb)
PURE = Wire(lambda value: fallback.Packer().pack(value), fallback.unpackb)
WIRES = pytest.mark.parametrize("wire", [COMPILED, PURE], ids=["compiled", "pure"])


@WIRES
def test_the_two_implementations_agree(wire):
    assert wire.encode(CANCEL) == COMPILED.encode(CANCEL)
    assert wire.decode(COMPILED.encode(CANCEL)) == CANCEL


@WIRES
def test_chunks_travel_beside_messages(wire):
    chunk = Chunk(3, 0, b"\x80 pixels")
    assert wire.decode(wire.encode(chunk)) == chunk


def test_the_largest_chunk_fits_a_frame():
    assert len(COMPILED.encode(Chunk(0, 0, bytes(CHUNK_BYTES)))) < MAX_FRAME


def test_refuses_to_send_messages_above_the_size_limit():
    prompts = tuple(Generated(prompt="x" * 200_000) for _ in range(8))
    submit = Submit(job=JOB, width=64, height=64, background=prompts[0], foregrounds=prompts, model="tiny")
    with pytest.raises(InvalidMessage, match="at most 1572864"):
        COMPILED.encode(submit)


@WIRES
def test_refuses_garbage(subtests, wire):
    for frame in [
        b"",
        b"\xc1",
        b"garbage",
        msgpack.packb(None),
        msgpack.packb([1, 2]),
        msgpack.packb({}),
        msgpack.packb({"type": 5}),
        msgpack.packb({b"type": "cancel"}),
        msgpack.packb({"type": "cancel"}) + b"\x00",
        msgpack.packb({"type": "cancel"})[:-1],
        b"\x91" * 100_000,
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        json.dumps(CANCEL.to_map()),
    ]:
        with subtests.test(frame=frame[:16]), pytest.raises(BadFrame):
            wire.decode(frame)


@given(
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["type", "job"]), inner),
    ).map(lambda value: msgpack.packb(value, unicode_errors="surrogatepass"))
)
@example(msgpack.packb({"type": "cancel", "job": msgpack.ExtType(1, b"x")}))
@example(msgpack.packb({"type": "cancel", "job": {"type": "cancel"}}))
def test_hostile_bytes_raise_nothing_but_our_errors(frame):
    with contextlib.suppress(BadFrame, InvalidMessage):
        COMPILED.decode(frame)
