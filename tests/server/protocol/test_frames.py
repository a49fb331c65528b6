"""Chunks: the bytes of the header, and the checks of a transfer."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerfusion.server.protocol.errors import BadFrame, BadTransfer
from layerfusion.server.protocol.frames import CHUNK_BYTES, Arrival, Chunk, split


def arrival(data):
    return Arrival(len(data), hashlib.sha256(data).hexdigest())


def test_header_is_as_documented():
    frame = Chunk(transfer=0x01020304, index=0x0A0B0C0D, data=b"xyz").to_bytes()
    assert frame == bytes.fromhex("01 000000 01020304 0a0b0c0d") + b"xyz"


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.binary(min_size=1, max_size=50))
def test_round_trip(transfer, index, data):
    assert Chunk.from_bytes(Chunk(transfer, index, data).to_bytes()) == Chunk(transfer, index, data)


def test_refuses_invalid_chunks(subtests):
    for frame in [b"", b"\x01", bytes([1] + [0] * 11), bytes(13), bytes([1]) + bytes(12 + CHUNK_BYTES)]:
        with subtests.test(frame=frame[:16]), pytest.raises(BadFrame):
            Chunk.from_bytes(frame)


def test_split_data_arrives_complete(subtests):
    for size in [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7]:
        with subtests.test(size=size):
            data = bytes(range(251)) * (size // 251 + 1)
            data = data[:size]
            watch, received = arrival(data), bytearray()
            for chunk in split(5, data):
                assert not watch.complete
                again = Chunk.from_bytes(chunk.to_bytes())
                watch.add(again)
                received += again.data
                assert again.transfer == 5
            watch.finish()
            assert received == data


def test_split_data_is_numbered_from_the_first_index():
    assert [chunk.index for chunk in split(5, bytes(CHUNK_BYTES + 1), first=7)] == [7, 8]


def test_refuses_chunks_out_of_order():
    watch = arrival(b"abcdef")
    watch.add(Chunk(0, 0, b"abc"))
    with pytest.raises(BadTransfer, match="Chunk 0 arrived in the place of chunk 1"):
        watch.add(Chunk(0, 0, b"abc"))
    with pytest.raises(BadTransfer, match="Chunk 2 arrived in the place of chunk 1"):
        watch.add(Chunk(0, 2, b"def"))


def test_refuses_more_than_announced():
    with pytest.raises(BadTransfer, match="7 bytes arrived, but 6 were announced"):
        arrival(b"abcdef").add(Chunk(0, 0, b"abcdefg"))


def test_refuses_less_than_announced():
    watch = arrival(b"abcdef")
    watch.add(Chunk(0, 0, b"abc"))
    with pytest.raises(BadTransfer, match="Only 3 of 6 bytes arrived"):
        watch.finish()


def test_refuses_other_bytes_than_announced():
    watch = arrival(b"abcdef")
    watch.add(Chunk(0, 0, b"abcdeF"))
    with pytest.raises(BadTransfer, match="SHA-256"):
        watch.finish()
