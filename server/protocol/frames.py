"""Chunks of pixels: binary frames with a fixed header, the same in both directions, and the check that all arrived.

offset  size  field      big-endian
0       1     kind       1: chunk. No message begins with this byte, so one look tells a chunk from a message.
1       3     zero
4       4     transfer   which upload or layer
8       4     index      0, 1, 2, … within the transfer
12      …     data       1 to 262144 bytes
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import BadFrame, BadTransfer

CHUNK_BYTES = 256 * 1024
"""Most data in one chunk: larger ones hold up the messages behind them, smaller ones cost more than they bring."""

MAX_FRAME = 1536 * 1024
"""Longest websocket message either side takes."""

KIND_CHUNK = 1
_HEADER = struct.Struct(">B3xII")


@dataclass(frozen=True)
class Chunk:
    """A piece of one transfer.

    Attributes:
        transfer: number of the transfer, 0 to 2^32-1.
        index: place in it, from 0.
        data: 1 to `CHUNK_BYTES` bytes.
    """

    transfer: int
    index: int
    data: bytes | memoryview

    @staticmethod
    def begins(frame: bytes) -> bool:
        """Whether a websocket message is a chunk; else it is a message in msgpack."""
        return frame[:1] == bytes([KIND_CHUNK])

    def to_bytes(self) -> bytes:
        return _HEADER.pack(KIND_CHUNK, self.transfer, self.index) + self.data

    @classmethod
    def from_bytes(cls, frame: bytes) -> Chunk:
        """Read one frame; `data` is a view into it, not a copy.

        Raises:
            BadFrame: too short, too long, or of another kind.
        """
        size = len(frame) - _HEADER.size
        if not 1 <= size <= CHUNK_BYTES:
            raise BadFrame(f"A chunk with {size} bytes of data.", f"Chunks hold 1 to {CHUNK_BYTES} bytes.")
        kind, transfer, index = _HEADER.unpack_from(frame)
        if kind != KIND_CHUNK:
            raise BadFrame(f"A frame of kind {kind}.", f"Chunks are of kind {KIND_CHUNK}.")
        return cls(transfer, index, memoryview(frame)[_HEADER.size :])


def split(transfer: int, data: bytes | memoryview) -> Iterator[Chunk]:
    """Cut `data` into the chunks of one transfer, in order."""
    view = memoryview(data).cast("B")
    for index, start in enumerate(range(0, len(view), CHUNK_BYTES)):
        yield Chunk(transfer, index, view[start : start + CHUNK_BYTES])


class Arrival:
    """Watches the chunks of one transfer come in. The caller keeps the data; this only says whether it is right.

    Args:
        total: bytes that were announced.
        sha256: their digest, as announced.
    """

    def __init__(self, total: int, sha256: str) -> None:
        self.total = total
        self.received = 0
        self._sha256 = sha256
        self._hash = hashlib.sha256()
        self._next = 0

    def add(self, chunk: Chunk) -> None:
        """Take the next chunk.

        Raises:
            BadTransfer: out of order, or more bytes than announced.
        """
        if chunk.index != self._next:
            raise BadTransfer(f"Chunk {chunk.index} came where {self._next} was due.", "Send it again from the start.")
        if self.received + len(chunk.data) > self.total:
            raise BadTransfer(
                f"{self.received + len(chunk.data)} bytes came where {self.total} were announced.",
                "Announce as many as there are.",
            )
        self._next += 1
        self.received += len(chunk.data)
        self._hash.update(chunk.data)

    @property
    def complete(self) -> bool:
        return self.received == self.total

    def finish(self) -> None:
        """Check the whole.

        Raises:
            BadTransfer: bytes are missing, or they are not those that were announced.
        """
        if not self.complete:
            raise BadTransfer(f"{self.received} of {self.total} bytes came.", "Send it again from the start.")
        if self._hash.hexdigest() != self._sha256:
            raise BadTransfer(
                f"The bytes have the SHA-256 {self._hash.hexdigest()[:12]}…, not {self._sha256[:12]}….",
                "Send it again from the start.",
            )
